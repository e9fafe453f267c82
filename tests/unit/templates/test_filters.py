from __future__ import annotations

import pytest

from tests.unit.templates.support import failure_of, sms, text_of

ROWS = [{"name": "Tea", "n": 1, "tags": {"k": "a"}}, {"name": "Cup", "n": 2, "tags": {"k": "b"}}]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'a,b'|split(',')|join('-')", "a-b"),
        ("'a b  c'|split|join('-')", "a-b-c"),
        ("'a,b,c'|split(',', 1)|last", "b,c"),
        ("'a\\nb'|lines|length", "2"),
        ("[1, 'x', 2.5]|join", "1x2.5"),
        ("rows|join(', ', attribute='name')", "Tea, Cup"),
        ("rows|join(', ', attribute='tags.k')", "a, b"),
        ("'banana'|replace('an', 'o')", "booa"),
        ("1234|replace('2', '-')", "1-34"),
        ("'%s costs %.2f'|format('Tea', 3)", "Tea costs 3.00"),
        ("'%05d|%-5s|%+d|%%'|format(42, 'ab', 7)", "00042|ab   |+7|%"),
        ("'%(a)s-%(b)s'|format(a='x', b='y')", "x-y"),
        ("'a\\nb\\n\\nc'|indent(2)", "a\n  b\n\n  c"),
        ("'a\\nb'|indent('> ', first=true)", "> a\n> b"),
        ("'a\\n\\nb'|indent(1, blank=true)", "a\n \n b"),
        ("'hello great world'|truncate(14)", "hello..."),
        ("'hello great world'|truncate(9, true)", "hello ..."),
        ("'hello'|truncate(3, end='')", "hel"),
        ("'hello'|truncate(4, leeway=1)", "hello"),
        ("[1, 2, 3, 4, 5]|slice(2)|tojson", "[[1, 2, 3], [4, 5]]"),
        ("[1, 2, 3, 4, 5]|slice(3, 0)|tojson", "[[1, 2], [3, 4], [5, 0]]"),
        ("[1, 2, 3]|batch(2)|tojson", "[[1, 2], [3]]"),
        ("[1, 2, 3]|batch(2, 0)|tojson", "[[1, 2], [3, 0]]"),
        ("{'b': 1, 'a': [true, 1.5, none]}|tojson", '{"b": 1, "a": [true, 1.5, null]}'),
        (
            "rows|tojson",
            '[{"name": "Tea", "n": 1, "tags": {"k": "a"}}, {"name": "Cup", "n": 2, "tags": {"k": "b"}}]',
        ),
        ("[1]|tojson(2)", "[\n  1\n]"),
        ("'</script>é'|tojson", '"\\u003c/script\\u003eé"'),
        ("rows[0]|items|length", "3"),
        ("{'b': 1, 'A': 2}|dictsort|tojson", '[["A", 2], ["b", 1]]'),
        ("{'b': 1, 'a': 2}|dictsort(by='value', reverse=true)|tojson", '[["a", 2], ["b", 1]]'),
        ("3|times(4)", "12"),
        ("1.5|times(2)", "3.0"),
        ("range(3)|join", "012"),
        ("range(5, 1, -2)|join(',')", "5,3"),
        ("'abc'|list|join('.')", "a.b.c"),
        ("rows[0] is mapping", "True"),
        ("'x' is mapping", "False"),
        ("rows|sort(attribute='name')|map(attribute='n')|join", "21"),
        ("rows|selectattr('n', 'gt', 1)|map(attribute='name')|join", "Cup"),
        ("rows|groupby('name')|map(attribute='grouper')|join", "CupTea"),
        ("rows|sum(attribute='n')", "3"),
        ("rows[0] == rows[0]", "True"),
        ("rows[0] == rows[1]", "False"),
        ("rows[0].tags == rows[1].tags", "False"),
    ],
)
@pytest.mark.parametrize("note", ["plain", "two\nlines"], ids=["quick", "guarded"])
def test_filters_say_what_jinja_says(expression: str, expected: str, note: str):
    source = f"{{% if note %}}{{{{ {expression} }}}}{{% endif %}}"
    assert text_of(source, rows=ROWS, note=note) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "x|replace('a', long)|replace('b', long)",
        "x|replace('', 'b')",
        "'%1000000000d'|format(1)",
        "'%.1000000000f'|format(1)",
        "'%*d'|format(1000000, 1)",
        "'%c'|format(65)",
        "'%d'|format('x')",
        "'%s %s'|format('x')",
        "x|indent(1000000000)",
        "x|indent(long)",
        "[1]|tojson(1000000000)",
        "[1]|slice(1000000000)",
        "[1]|batch(1000000000)",
        "[1]|batch(2.5)",
        "range(1000000000)",
        "range(1, 5, 0)",
        "rows|join(long)|length",
        "'x'|join",
        "5|join",
        "[[1]]|join",
        "rows|join(attribute='nope')",
        "none|replace('a', 'b')",
        "none|join",
        "none|items",
        "'x'|items",
        "{'a': 1, 'b': 'x'}|dictsort(by='value')",
        "'a'|split('')",
        "'a'|times(3)",
        "9|times(10000000000000000000)",
        "'x'|truncate(-1)",
        "('\"' ~ x)" + "|tojson" * 15,
    ],
)
def test_a_filter_refuses_what_it_cannot_or_must_not_do(expression: str):
    rows = [{"a": 1}] * 500
    failure = failure_of(sms(f"{{{{ {expression} }}}}"), x='ab"' * 3000, long="y" * 10_000, rows=rows)
    assert failure.kind in {"too_long", "operation", "null", "undefined"}


def test_a_null_given_to_a_filter_is_named_as_one():
    failure = failure_of(sms("{{ names[0]|replace('a', 'b') }}"), names=[None])
    assert (failure.kind, failure.detail) == (
        "null",
        "`replace` takes a text, and was given a missing or null value",
    )


def test_a_list_nested_into_itself_is_not_written_out():
    source = (
        "{% set a = [x, x, x, x] %}{% set b = [a, a, a, a] %}{% set c = [b, b, b, b] %}{{ [c, c]|tojson }}"
    )
    assert failure_of(sms(source), x=["y"] * 200).kind == "too_long"


def test_urlencode_writes_texts_and_numbers_for_links():
    assert text_of("{{ x|urlencode }}", x="a b&c=d/é~.-_") == "a%20b%26c%3Dd/%C3%A9~.-_"
    assert text_of("{{ x|urlencode }}", x=12) == "12"
    assert text_of("-{{ x|urlencode }}", x="") == "-"


@pytest.mark.parametrize("value", [[1], {"a": "b"}])
def test_urlencode_makes_no_text_of_lists_and_maps(value: object):
    failure = failure_of(sms("{{ x|urlencode }}"), x=value)
    assert (failure.kind, failure.detail) == ("operation", "`urlencode` takes a text")
