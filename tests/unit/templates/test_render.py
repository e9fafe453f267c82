from __future__ import annotations

import pytest

from clarion.contracts.channels import Channel
from clarion.templates import (
    ChannelParts,
    EmailParts,
    InlineContent,
    Rendered,
    Renderer,
    RenderFailure,
    RenderItem,
    SmsParts,
    TemplateContent,
    TemplateVersion,
    build_variables,
    make_version,
)
from tests.unit.templates.support import TENANT, email, failure_of, html_of, push, render, sms, text_of

USER = {"first_name": "Ada", "city": None}


def test_an_email_has_subject_html_and_text():
    content = email("Hi {{ user.first_name }}", "<b>{{ user.first_name }}</b>", "Hi {{ user.first_name }}!")
    assert render(content, {"user": USER}) == Rendered(subject="Hi Ada", html="<b>Ada</b>", text="Hi Ada!")


def test_without_text_one_is_made_from_the_html():
    content = email(html="<h1>Hi {{ name }}</h1><p>Your <a href='{{ url }}'>parcel</a></p>")
    result = render(content, {"name": "A & B", "url": "https://x.example/a?b=c"})
    assert isinstance(result, Rendered)
    assert result.text == "Hi A & B\n\nYour parcel (https://x.example/a?b=c)"


def test_a_push_message_has_data_that_is_rendered():
    content = push(
        "{{ n }} new", "From {{ who }}", {"url": "app://inbox/{{ n }}", "x.html": "<{{ who }}>", "e": ""}
    )
    assert render(content, {"n": 3, "who": "A&B"}) == Rendered(
        title="3 new", body="From A&B", data={"url": "app://inbox/3", "x.html": "<A&B>", "e": ""}
    )


def test_a_text_message_is_plain():
    assert render(sms("  {{ name }} <3  "), {"name": "O'Brian & Söhne"}) == Rendered(
        body="O'Brian & Söhne <3"
    )


def test_reserved_names_win_over_data_at_the_top_level():
    variables = build_variables(
        {"user": "no", "order": 1},
        {"first_name": "Ada"},
        {"rain": True},
        {"name": "Acme"},
        {"unsubscribe": "u"},
    )
    source = "{{ user.first_name }} {{ data.user }} {{ order }} {{ data.order }} {{ context.rain }} {{ tenant.name }}"
    assert text_of(source, **variables) == "Ada no 1 1 True Acme"


@pytest.mark.parametrize(
    ("source", "variable", "line"),
    [
        ("Hi\n{{ user.first_name }}", "user.first_name", 2),
        ("{{ user.city }}", "user.city", 1),
        ("{{ user.address.street }}", "user.address", 1),
        ("{{ user['first_name']|upper }}", "user['first_name']", 1),
        ("{% if user.first_name %}x{% endif %}", "user.first_name", 1),
        ("{% for x in orders %}x{% endfor %}", "orders", 1),
        ("{% for x in user.items %}x{% endfor %}", "user.items", 1),
        ("\n\n{% for x in items %}x{% endfor %}", "items", 3),
        ("{{ copy }}", "copy", 1),
        ("{{ user.copy }}", "user.copy", 1),
        ("{{ user.get }}", "user.get", 1),
        ("{{ list.append }}", "list.append", 1),
        ("{% set n = user.first_name %}{{ n }}", "user.first_name", 1),
    ],
)
def test_a_missing_or_null_variable_fails_with_its_name_and_line(source: str, variable: str, line: int):
    failure = failure_of(sms(source), user={"city": None, "x": "y"}, list=[1])
    assert (failure.kind, failure.part, failure.variable, failure.line) == (
        "undefined",
        "sms.body",
        variable,
        line,
    )
    assert failure.detail == f"`{variable}` is missing or null"


def test_what_may_be_missing_can_be_replaced_or_asked_for():
    source = (
        "{{ user.city|default('somewhere') }} {{ 'b' if user.city is defined else 'c' }} {{ nope|d('e') }}"
    )
    assert text_of(source, user=USER) == "somewhere c e"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("{{ names[1] }}", "null"),
        ("{{ none }}", "null"),
        ("{{ names }}", "operation"),
        ("{{ user }}", "operation"),
        ("{{ numbers }}", "operation"),
        ("{{ user|upper }}", "operation"),
        ("{{ 'x' ~ names }}", "operation"),
        ("{{ user.n + 'x' }}", "operation"),
        ("{{ 1 / 0 }}", "operation"),
        ("{% for x in 5 %}{% endfor %}", "operation"),
        ("{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}", "too_much_work"),
        ("{{ range(2000)|join }}", "too_long"),
        ("{{ '%99999999d'|format(1) }}", "operation"),
    ],
)
def test_what_has_no_place_in_a_message_fails(source: str, kind: str):
    variables = {"user": {"n": 1}, "names": ["Ada", None], "numbers": [1, 2]}
    assert failure_of(sms("x" + source), **variables).kind == kind


def test_a_message_that_says_nothing_fails():
    assert failure_of(sms("{{ x }}"), x=" ").kind == "empty"
    assert failure_of(email("{{ x }}", text="x"), x="").kind == "empty"
    assert failure_of(email("x", html="{{ x }}"), x="").kind == "empty"
    assert failure_of(push("{{ x }}", data={"a": "b"}), x="").kind == "empty"


def test_a_failure_holds_no_value():
    secret = "s3cr3t-4711"
    sources = (
        "{{ missing }}", "{{ user[user.key] }}", "{{ user.name + 1 }}", "{{ user.name|round }}", "{{ user.list }}",
        "{{ user.name|replace(user.name, none) }}", "{{ '%d'|format(user.name) }}", "{{ [user.name]|sum }}",
        "{% for a in user.n %}{% endfor %}", "{{ user.name / user.n }}", "{{ user.list[user.name] }}",
        "{{ user.name|int }}", "{{ user.name|groupby('x') }}", "{{ user.name|times(2) }}", "{{ user.name|slice(0.5) }}",
    )  # fmt: skip
    user = {"name": secret, "key": secret, "list": [secret], "n": 4711_4711}
    for source in sources:
        failure = failure_of(sms(source), user=user, key=secret)
        assert secret not in repr(failure), source
        assert "47114711" not in repr(failure), source


def test_one_bad_item_never_reaches_its_neighbours():
    loops = "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}"
    version = make_version("hello", 1, sms("Hi {{ user.name }}{% if user.greedy %}" + loops + "{% endif %}"))
    users: list[dict[str, object]] = [
        {"name": "Ada", "greedy": False},
        {"greedy": False},
        {"name": "Bob", "greedy": True},
        {"name": object(), "greedy": False},
        {"name": ["Cid"], "greedy": False},
        {"name": "Dee", "greedy": False},
    ]
    items = [RenderItem(TENANT, version, "sms", {"user": user}) for user in users]
    results = [r.body if isinstance(r, Rendered) else r.kind for r in Renderer().render_batch(items)]
    assert results == ["Hi Ada", "undefined", "too_much_work", "bad_value", "operation", "Hi Dee"]


def test_tenants_and_versions_are_kept_apart():
    renderer = Renderer()
    items = [
        RenderItem(tenant, make_version("same", number, sms(f"{tenant!r} {number}")), "sms", {})
        for tenant in (b"a", b"b")
        for number in (1, 2)
    ]
    expected = ["b'a' 1", "b'a' 2", "b'b' 1", "b'b' 2"]
    for _ in range(2):
        assert [r.body for r in renderer.render_batch(items) if isinstance(r, Rendered)] == expected


def test_a_draft_is_never_remembered():
    renderer = Renderer()
    for text in ("one", "two"):
        item = RenderItem(TENANT, make_version("draft", 0, sms(text)), "sms", {})
        assert renderer.render_batch([item]) == [Rendered(body=text)]


def test_more_versions_than_there_is_room_for_come_out_right():
    renderer = Renderer()
    versions = [make_version("many", number, sms(f"{number} {'x' * 1000}")) for number in range(1, 1203)]
    for version in (*versions, versions[0]):
        (result,) = renderer.render_batch([RenderItem(TENANT, version, "sms", {})])
        assert isinstance(result, Rendered)
        assert result.body.startswith(f"{version.version} ")


def test_a_channel_that_the_template_has_not_is_a_failure():
    item = RenderItem(TENANT, make_version("sms", 1, sms("x")), "email", {})
    assert Renderer().render_batch([item]) == [
        RenderFailure("missing_part", "email", "there is nothing for email")
    ]


def test_a_version_that_was_never_checked_fails_alone():
    for source, words in (("{{ name", "unexpected end"), ("{{" + "x" * 3000 + "}}", "2048 characters")):
        content = TemplateContent("a", ChannelParts(sms=SmsParts(source)))
        bad = TemplateVersion("bad", 1, content, channels=4, uses_context=False)
        fine = make_version("fine", 1, sms("fine"))
        failure, rendered = Renderer().render_batch([RenderItem(TENANT, v, "sms", {}) for v in (bad, fine)])
        assert isinstance(failure, RenderFailure)
        assert failure.kind == "syntax"
        assert words in failure.detail
        assert rendered == Rendered(body="fine")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (email("x" * 999, text="x"), "email"),
        (email(text="{% for a in range(300) %}" + "x" * 999 + "{% endfor %}"), "email.text"),
        (email(text="{% for a in range(600) %}{{ big }}{% endfor %}"), "email.text"),
        (sms("x" * 1601), "sms"),
        (push(body="x" * 3900), "push"),
        (push("x", data={"a": "é" * 2000}), "push"),
    ],
)
def test_what_the_channel_cannot_carry_is_too_long(content: TemplateContent, part: str):
    failure = failure_of(content, big="é" * 2000)
    assert (failure.kind, failure.part) == ("too_long", part)


def test_the_largest_of_each_fits():
    assert isinstance(render(email("x" * 998, text="x"), {}), Rendered)
    assert isinstance(render(sms("x" * 1600), {}), Rendered)
    assert isinstance(render(push(body="x" * 3700), {}), Rendered)
    assert len(text_of("{% for a in range(1000) %}" + "x" * 262 + "{% endfor %}")) == 262_000


def test_a_long_table_is_no_bomb():
    rows = [{"name": f"Row {i}", "price": "1.50", "n": i} for i in range(1000)]
    html = html_of(
        "{% for r in rows %}<tr><td>{{ r.n }}</td><td>{{ r.name }}</td></tr>{% endfor %}", rows=rows
    )
    assert html.count("<tr>") == 1000


def test_a_subject_takes_no_line_break_from_a_variable():
    for broken in ("a\r\nBcc: x@evil.example", "a\nb", "a\rb", "a\u2028b", "a\x85b"):
        failure = failure_of(email("Hi {{ name }}", text="x"), name=broken)
        assert (failure.kind, failure.part) == ("line_break", "email.subject")


def test_a_subject_written_on_two_lines_is_one():
    content = email("\nHi\n  {% if x %}\n you{% endif %}\n", text="x")
    assert render(content, {"x": True}) == Rendered(subject="Hi you", text="x")


def test_control_characters_do_not_arrive():
    dirty = "a\x00b\x1bc\x7fd\x9be\ud800f\tg\r\nh"
    assert text_of("{{ x }}", x=dirty) == "abcdef\tg\nh"
    assert html_of("{{ x|safe }}", x=dirty) == "abcdef\tg\nh"
    assert render(push("{{ x }}"), {"x": "a\x00b"}) == Rendered(title="ab")


def test_numbers_are_printed_as_they_are():
    assert (
        text_of("{{ a }} {{ b }} {{ c }} {{ d }}", a=1.5, b=-3, c=2**70, d=False)
        == "1.5 -3 1180591620717411303424 False"
    )


def test_a_template_cannot_change_or_keep_what_it_sees():
    variables = {"user": {"name": "Ada", "tags": ["x"]}}
    text_of("{% for t in user.tags %}{{ t }}{% endfor %}{% set user = {} %}{{ 1 }}", **variables)
    assert variables == {"user": {"name": "Ada", "tags": ["x"]}}


def test_inline_content_is_taken_literally():
    inline = InlineContent(subject="{{ x }}", html="<b>{{ y }}</b>", title="T", body="{% b %}")
    items = [RenderItem(TENANT, inline, channel, {}) for channel in ("email", "push", "sms")]
    assert Renderer().render_batch(items) == [
        Rendered(subject="{{ x }}", html="<b>{{ y }}</b>", text="{% b %}"),
        Rendered(title="T", body="{% b %}"),
        Rendered(body="{% b %}"),
    ]


def test_inline_content_is_held_to_the_same_limits():
    cases: list[tuple[InlineContent, Channel, str]] = [
        (InlineContent(subject="a\r\nb", body="x"), "email", "line_break"),
        (InlineContent(subject="a" * 999, body="x"), "email", "too_long"),
        (InlineContent(subject="a"), "email", "empty"),
        (InlineContent(body="x" * 1601), "sms", "too_long"),
        (InlineContent(title="x"), "sms", "empty"),
        (InlineContent(body="x" * 4000), "push", "too_long"),
    ]
    items = [RenderItem(TENANT, inline, channel, {}) for inline, channel, _ in cases]
    kinds = [result.kind for result in Renderer().render_batch(items) if isinstance(result, RenderFailure)]
    assert kinds == [kind for *_, kind in cases]


def test_an_email_with_all_parts_shares_nothing_between_them():
    parts = EmailParts(
        "{% set x = 'a' %}{{ x }}", "<p>{{ x|default('b') }}</p>", "", "{{ x|default('c') }}\n"
    )
    content = TemplateContent("service", ChannelParts(email=parts))
    assert render(content, {}) == Rendered(subject="a", html="<p>b</p>", text="c")
