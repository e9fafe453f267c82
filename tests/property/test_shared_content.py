from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.providers.mail.shared_content import (
    SEPARATOR,
    SharedContent,
    common_literals,
    find_shared,
    split,
)

PIECES = st.sampled_from(
    [
        "<p>",
        "</p>",
        "Hello ",
        "Ada",
        "Bob",
        "\n",
        "<",
        "é",
        '<a href="https://x.example/t/',
        '">',
        " ",
        "a longer text ",
    ]
)
FIELD = st.lists(PIECES, max_size=12).map("".join) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30
)
MESSAGE = st.tuples(FIELD, FIELD, FIELD).map(SEPARATOR.join)
TEMPLATE = st.lists(st.text("ab<> \n", max_size=20), min_size=2, max_size=5)
VALUES = st.lists(st.lists(st.text("xyz<\n ", max_size=6), min_size=4, max_size=4), min_size=2, max_size=12)


def rebuilt(shared: SharedContent, nth: int) -> str:
    values = [*shared.values[nth], ""]
    return "".join(part for pair in zip(shared.literals, values, strict=True) for part in pair)


@given(st.lists(MESSAGE, max_size=12))
def test_every_message_is_rebuilt_byte_by_byte_or_goes_alone(messages: list[str]):
    found, alone = find_shared(messages)
    places = [place for shared in found for place in shared.members] + alone
    assert sorted(places) == list(range(len(messages)))
    for shared in found:
        assert len(shared.members) > 1
        for nth, place in enumerate(shared.members):
            assert rebuilt(shared, nth) == messages[place]


@given(TEMPLATE, VALUES)
def test_messages_of_one_template_are_rebuilt_whatever_was_put_into_it(
    literals: list[str], rows: list[list[str]]
):
    gaps = len(literals) - 1
    messages = [
        "".join(part for pair in zip(literals, [*row[:gaps], ""], strict=True) for part in pair)
        for row in rows
    ]
    found, alone = find_shared(messages)
    for shared in found:
        assert [rebuilt(shared, nth) for nth in range(len(shared.members))] == [
            messages[i] for i in shared.members
        ]
    assert len(alone) + sum(len(shared.members) for shared in found) == len(messages)


@given(MESSAGE, MESSAGE)
def test_no_gap_spans_two_fields(one: str, other: str):
    literals = common_literals([one], other)
    assert SEPARATOR.join(literals).count(SEPARATOR) == len(literals) - 1 + 2
    for text in (one, other):
        values = split(text, literals)
        assert values is not None
        assert not any(SEPARATOR in value for value in values)


@given(st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4), st.text("ab", max_size=12))
def test_a_way_to_split_is_found_if_there_is_any(literals: list[str], text: str):
    def can_split(at: int, left: list[str]) -> bool:
        if len(left) == 1:
            return len(text) - len(left[0]) >= at and text.endswith(left[0])
        starts = [i for i in range(at, len(text) + 1) if text.startswith(left[0], i)]
        return any(can_split(start + len(left[0]), left[1:]) for start in starts)

    exists = (
        text == literals[0]
        if len(literals) == 1
        else text.startswith(literals[0]) and can_split(len(literals[0]), literals[1:])
    )
    assert (split(text, literals) is not None) == exists


def newsletter(name: str, link: str, *, is_gold: bool = False) -> str:
    gold = "<p>Thank you for five years with us.</p>" if is_gold else ""
    rest = "The same for all. " * 9
    html = f'<h1>Hello {name}</h1>{gold}<a href="https://x.example/t/{link}">Read on</a><p>{rest}</p>'
    return SEPARATOR.join([f"News for {name}", f"Hello {name}\nhttps://x.example/t/{link}\n", html])


def test_users_differ_by_whole_words_and_links():
    found, alone = find_shared([newsletter(name, name * 3) for name in ("Ada", "Anna", "Zoë", "Bo & Co")])
    assert not alone
    assert found[0].values[0] == ["Ada", "Ada", "AdaAdaAda", "Ada", "AdaAdaAda"]
    assert found[0].literals[0] == "News for "


def test_a_block_that_some_have_is_a_value_of_theirs():
    messages = [newsletter(f"user{i}", f"k{i}", is_gold=i % 3 == 0) for i in range(30)]
    found, alone = find_shared(messages)
    assert not alone
    assert len(found) == 1


def test_two_templates_are_told_apart():
    others = [
        SEPARATOR.join([f"Invoice {i}", f"You owe {i} euros, please pay them by Friday", ""])
        for i in range(9)
    ]
    found, alone = find_shared([newsletter(f"user{i}", f"k{i}") for i in range(9)] + others)
    assert not alone
    assert [len(shared.members) for shared in found] == [9, 9]


def test_what_shares_too_little_goes_alone():
    found, alone = find_shared([SEPARATOR.join([f"{i}" * 80, "same", ""]) for i in range(3)])
    assert (found, alone) == ([], [0, 1, 2])


def test_control_characters_go_alone_where_learning_needs_them():
    found, alone = find_shared(["a\1b\0\0", "same text\0\0", "same text\0\0"])
    assert alone == [0]
    assert found[0].members == [1, 2]


def test_large_messages_of_no_template_take_no_time_to_speak_of():
    rows = [
        SEPARATOR.join(["", "", "".join(f"<p>{i * j % 97}</p>\n" for j in range(3000 + i))])
        for i in range(1, 9)
    ]
    found, alone = find_shared(rows)
    assert sorted([*alone, *(place for shared in found for place in shared.members)]) == list(range(8))
