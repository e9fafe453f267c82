"""Whatever a template and its variables are: the same result both ways, nothing leaks, grows, or reaches others."""

from __future__ import annotations

import resource
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from clarion.kernel.errors import Invalid
from clarion.templates import (
    ChannelParts,
    EmailParts,
    Rendered,
    Renderer,
    RenderFailure,
    RenderItem,
    SmsParts,
    TemplateContent,
    check_template,
    html_to_text,
    make_version,
)

NAMES = ["user", "order", "items", "x", "name"]
KEYS = ["name", "first_name", "items", "city", "copy", "x"]

plain_texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters='"\\'), max_size=30
)
texts = plain_texts | plain_texts | plain_texts | st.text(max_size=30)
scalars = (
    plain_texts
    | plain_texts
    | st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
maps = st.fixed_dictionaries({"name": texts, "x": scalars}, optional=dict.fromkeys(KEYS[1:-1], values))
# Mostly what a template expects, so that most of it is run.
variables = st.fixed_dictionaries(
    {"user": maps | values, "order": maps, "items": st.lists(maps, max_size=3) | values, "name": texts},
    optional={"x": values},
)

safe_paths = st.sampled_from(["user.name", "order.x", "order.name", "name", "items", "order", "1", "'a'"])
deep_paths = st.tuples(st.sampled_from([*NAMES, "row"]), st.lists(st.sampled_from(KEYS), max_size=2)).map(
    lambda t: ".".join([t[0], *t[1]])
)
paths = safe_paths | safe_paths | deep_paths.map(lambda path: f"{path}|default('-')") | deep_paths
filters = st.sampled_from(
    """
    default('-')|default('-')|default([])|upper|length|first|join(',')|tojson|items|trim|safe|int|sort|list|truncate(3)
    |replace('a', 'b')|dictsort|batch(2)|round|e|map(attribute='x')|selectattr('x')|groupby('x')|sum|max|title|float
    |abs|last|reverse|unique|bool
    """.translate({10: None, 32: None}).split("|")
)
pairs = st.tuples(paths, paths)
expressions = st.one_of(
    paths,
    st.tuples(paths, st.lists(filters, min_size=1, max_size=3)).map(lambda t: "|".join([t[0], *t[1]])),
    pairs.map(" ~ ".join),
    pairs.map(lambda t: f"{t[0]} if {t[1]} is defined else 'none'"),
    pairs.map(" == ".join),
    pairs.map(lambda t: f"{t[0]}[{t[1]}]"),
)
literals = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="{}"), max_size=12)


def _nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(expressions, inner, inner).map(
            lambda t: f"{{% if {t[0]} %}}{t[1]}{{% else %}}{t[2]}{{% endif %}}"
        ),
        st.tuples(expressions, inner).map(lambda t: f"{{% for row in {t[0]} %}}{t[1]}{{% endfor %}}"),
        st.tuples(expressions, inner).map(lambda t: f"{{% set row = {t[0]} %}}{t[1]}"),
        st.tuples(inner, inner).map("".join),
    )


pieces = st.recursive(literals | expressions.map(lambda e: f"{{{{ {e} }}}}"), _nest, max_leaves=6)


def _content(text: str, html: str = "") -> TemplateContent:
    return TemplateContent("service", ChannelParts(email=EmailParts("Hello", html, "", text)))


def _render(content: TemplateContent, *many: dict[str, Any]) -> list[Rendered | RenderFailure]:
    try:
        check_template(content)
    except Invalid:
        assume(False)  # noqa: FBT003  hypothesis' own signature
    version = make_version("test", 1, content)
    return Renderer().render_batch([RenderItem(b"t", version, "email", one) for one in many])


@example(
    source="{% for row in user.name ~ user|default('-') %}{{ 1|default('-') }}{% endfor %}",
    given_variables={
        "user": {"name": "", "x": ""},
        "order": {"name": "", "x": None},
        "items": [],
        "name": "",
    },
)
@given(pieces, variables)
@example(
    "{{ order.name }}{% for row in items %}{{ row.x }}{% endfor %}",
    {"order": {"name": "a"}, "items": [{"x": 1}]},
)
@example("{{ user.copy|default('-') }}{{ user|tojson }}", {"user": {"name": "[1]"}})
@example("{{ x }}", {"x": {"name": 1}})
@example("{{ items|first }}", {"items": [[], {}]})
@settings(max_examples=300)
def test_both_ways_give_the_same(source: str, given_variables: dict[str, Any]):
    """A text with a line break makes variables go guarded; the template asks for it and does nothing with it."""
    content = _content("{% if quiet == 0 %}{% endif %}|" + source)
    quick, guarded = _render(content, given_variables | {"quiet": "a"}, given_variables | {"quiet": "a\nb"})
    assert quick == guarded


@given(pieces, st.lists(variables, min_size=2, max_size=4))
def test_neighbours_make_no_difference(source: str, many: list[dict[str, Any]]):
    content = _content("|" + source)
    alone = [_render(content, one)[0] for one in many]
    assert _render(content, *many) == alone


@given(pieces, variables)
def test_variables_are_not_changed(source: str, given_variables: dict[str, Any]):
    before = repr(given_variables)
    _render(_content("|" + source), given_variables)
    assert repr(given_variables) == before


SECRET = "s3cr3t"


@given(
    pieces,
    variables.map(lambda v: v | {"x": SECRET, "user": {"name": SECRET, "items": [SECRET, {"x": SECRET}]}}),
)
def test_a_failure_holds_no_value(source: str, given_variables: dict[str, Any]):
    assume(SECRET not in source)
    (result,) = _render(_content("|" + source), given_variables)
    if isinstance(result, RenderFailure):
        assert SECRET not in repr(result)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag, *(name for name, _ in attrs)]


@given(st.text(st.sampled_from("<>\"'&=/ \n\tabjs:;#x0-!"), max_size=60))
def test_no_value_adds_an_element_or_an_attribute(value: str):
    html = '<p title="{{ x }}">{{ x }}</p><i class=\'a {{ x }}\' lang="b">{{ x|upper }}</i>'
    (result,) = _render(_content("", html), {"x": value})
    assert isinstance(result, Rendered)
    tags = _Tags()
    tags.feed(result.html)
    assert tags.found == ["p", "title", "i", "class", "lang"]


@given(st.text(), st.sampled_from(["Hi {{ x }}", "{{ x }}", "{{ x }}!", "a\n{{ x }}"]))
def test_a_subject_is_one_line_without_control_characters(value: str, subject: str):
    content = TemplateContent("service", ChannelParts(email=EmailParts(subject, "", "", "text")))
    (result,) = _render(content, {"x": value})
    if isinstance(result, Rendered):
        assert len(result.subject.splitlines()) == 1
        assert all(character >= " " and not "\x7f" <= character <= "\x9f" for character in result.subject)


@given(st.text(st.sampled_from("<>apbr/ \n&;!-styleh1=\"'{}"), max_size=200) | st.text())
def test_any_html_becomes_text(html: str):
    text = html_to_text(html)
    assert "\n\n\n" not in text
    assert text == text.strip()


growers = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(
            ["{0} ~ {1}", "{0} + {1}", "[{0}, {1}]|join", "{0} * 2", "{0}|replace('x', {1})", "{0}"]
        ),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
        st.sampled_from(["set", "for", "with", "if"]),
    ),
    max_size=40,
)


@given(growers)
@settings(max_examples=150)
def test_what_is_accepted_does_not_grow_without_bound(steps: list[tuple[str, str, str, str, str]]):
    """Names that feed on one another in every way there is; what passes the check makes little of a small value."""
    opened: list[str] = []
    source = ""
    for name, operation, one, other, binder in steps:
        expression = operation.format(one, other)
        if binder == "set":
            source += f"{{% set {name} = {expression} %}}"
        elif binder == "for":
            source += f"{{% for {name} in [{expression}] %}}"
        elif binder == "with":
            source += f"{{% with {name} = {expression} %}}"
        else:
            source += f"{{% if {name} %}}"
        if binder != "set":
            opened.append(binder)
    source += "{{ a|length }}" + "".join(f"{{% end{binder} %}}" for binder in reversed(opened))
    content = TemplateContent("service", ChannelParts(sms=SmsParts("|" + source)))
    try:
        check_template(content)
    except Invalid:
        return
    value = "x" * 10_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    item = RenderItem(b"t", make_version("test", 1, content), "sms", {"a": value, "b": value, "c": value})
    (result,) = Renderer().render_batch([item])
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 64 * 1024
    assert isinstance(result, RenderFailure) or int(result.body.removeprefix("|") or 0) <= 128 * 10_000


LOOPS = "{% for i in range(1000) %}{% for j in range(1000) %}"
ENDS = "{% endfor %}{% endfor %}x"
ROWS = [{"id": i, "name": f"row {i}"} for i in range(10_000)]


@pytest.mark.parametrize(
    ("work", "given_variables"),
    [
        ("", {}),
        ("x" * 60_000, {}),
        ("{{ big }}", {"big": "é" * 2600}),
        ("{% set y = big|upper %}", {"big": "x" * 1_000_000}),
        ("{% set y = big ~ big ~ big ~ big %}", {"big": "x" * 1_000_000}),
        ("{% set y = big|striptags|title %}", {"big": "<b>x</b>" * 2000}),
        ("{% set y = big|urlencode %}", {"big": "é" * 16_000}),
        ("{% set y = big|split('x')|length %}", {"big": "x" * 16_000}),
        ("{% set y = big|replace('x', 'yy') %}", {"big": "x" * 16_000}),
        ("{% set y = rows|sort(attribute='id') %}", {"rows": ROWS}),
        ("{% set y = rows|sort(attribute='id') %}", {"rows": ROWS[:100]}),
        ("{% set y = rows|groupby('id') %}", {"rows": ROWS[:1000]}),
        ("{% set y = rows|unique|list %}", {"rows": ROWS[:1000]}),
        ("{% set y = rows|map(attribute='name')|join %}", {"rows": ROWS[:1000]}),
        ("{% set y = rows|tojson %}", {"rows": ROWS[:1000]}),
        ("{% if 5000 in rows %}{% endif %}", {"rows": ROWS[:1000]}),
        ("{% if rows == more %}{% endif %}", {"rows": ROWS[:1000], "more": ROWS[:1000]}),
        ("{% for key in wide %}{% break %}{% endfor %}", {"wide": {str(i): i for i in range(10_000)}}),
        ("{% set y = range(1000)|batch(1)|list %}", {}),
    ],
)
def test_no_template_takes_much_time_or_memory(work: str, given_variables: dict[str, Any]):
    """Measured: 450 ms at the most on an idle machine, 54 MB for the process. Time here is the processor's own."""
    content = TemplateContent("service", ChannelParts(sms=SmsParts(LOOPS + work + ENDS)))
    check_template(content)
    version = make_version("test", 1, content)
    before = resource.getrusage(resource.RUSAGE_SELF)
    (result,) = Renderer().render_batch([RenderItem(b"t", version, "sms", given_variables)])
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert isinstance(result, RenderFailure)
    assert result.kind in {"too_much_work", "too_long"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4.0
    assert after.ru_maxrss - before.ru_maxrss < 128 * 1024
