"""Whatever is put together of partials, layouts, markup and languages: it is refused by path, or renders."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from clarion.kernel.errors import Invalid
from clarion.templates import (
    ChannelParts,
    CheckedTemplate,
    EmailParts,
    PartialContent,
    PartialParts,
    PartialVersion,
    Rendered,
    Renderer,
    RenderFailure,
    RenderItem,
    SmsParts,
    TemplateContent,
    check_partial,
    check_template,
    choose_locale,
    lint_template,
    make_version,
    needed_partials,
)

NAMES = ["a", "b"]
TAGS = ["de", "de-AT", "pt_BR", "EN", "zh-hant"]
LANGUAGES = [*TAGS, "de-CH", "xx", "", "german", "-"]

pieces = st.sampled_from(
    [
        "{% include 'a' %}",
        '{%- include "b" -%}',
        "{% include 'c' %}",
        "{% extends 'a' %}",
        "{% extends 'c' %}",
        "{% block x %}",
        "{%- block y -%}",
        "{% endblock %}",
        "{{ super() }}",
        "{% set v = name %}",
        "{{ v|default('-') }}",
        "{{ name }}",
        "{{ name",
        "{% for i in [1, 2] %}",
        "{% endfor %}",
        "{% if name %}",
        "{% else %}",
        "{% endif %}",
        "{% raw %}",
        "{% endraw %}",
        "{# x #}",
        "{#",
        "\n",
        "text",
        "<p class='k'>",
        "</p>",
        '<td id="i" class="{{ name }}" style="color:{{ name }}">',
        "<style>p{color:red}</style>",
        "<style>.k, #i > b {color:red} @media x {p{a:b}}</style>",
        "<style>",
        "</style>",
        "<!--",
        "-->",
        "<a href='{{ name }}'>",
        "<a href=",
        "<img src='http://x.org/a b'>",
        "<mjml><mj-body>",
        "</mj-body></mjml>",
        "<mj-section><mj-column>",
        "</mj-column></mj-section>",
        "<mj-text css-class='k'>",
        "</mj-text>",
        "<mj-foo/>",
        "<mj-style inline='inline'>",
        '"',
        "'",
        "&",
        "<",
        "\u2028",
        "é€",
    ]
)
chaotic = st.lists(pieces, max_size=10).map("".join)
leaves = st.sampled_from(
    [
        "text",
        "\n",
        "{{ name }}",
        "{# x #}",
        "{% include 'a' %}",
        "{%- include 'b' -%}",
        "<p class='k'>x</p>",
        "<i style=\"color:{{ name }}\" class='{{ name }}'>y</i>",
        "<style>p{color:red}</style>",
        "<style>.k, #i > b {color:red} @media x {p{a:b}}</style>",
        "<!-- {{ name }} -->",
        "<a href='https://shop.com/{{ name }}'>z</a>",
    ]
)
WRAPPERS = [
    "{{% for i in [1, 2] %}}{}{{% endfor %}}",
    "{{% if name is defined %}}{}{{% else %}}-{{% endif %}}",
    "{{% block x %}}{}{{% endblock %}}",
    "{{%- block y -%}}{}{{%- endblock -%}}",
    "{{% set v = 1 %}}{}{{{{ v }}}}",
    "<div>{}</div>",
]
balanced = st.recursive(
    leaves,
    lambda inner: st.tuples(st.sampled_from(WRAPPERS), st.lists(inner, max_size=3).map("".join)).map(
        lambda pair: pair[0].format(pair[1])
    ),
    max_leaves=5,
)
extending = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), balanced).map(
    lambda t: f"{{% extends '{t[0]}' %}}{{% block {t[1]} %}}{t[2]}{{{{ super() }}}}{{% endblock %}}"
)
sources = st.integers(0, 19).flatmap(lambda n: chaotic if n == 19 else extending if n > 16 else balanced)
whole_mjml = sources.map(
    lambda inside: (
        f"<mjml><mj-body><mj-section><mj-column><mj-text>{inside}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
)
partial_parts = st.builds(PartialParts, sources, sources, sources)
plain_leaves = leaves.filter(lambda leaf: "include" not in leaf)
layouts = plain_leaves.map(
    lambda leaf: f"{{% block x %}}{leaf}{{% endblock %}}{{% block y %}}{{% endblock %}}"
)
taken = st.integers(0, 9).flatmap(lambda n: sources if n == 9 else layouts)
contents = st.builds(
    PartialContent, taken, taken, taken, st.dictionaries(st.sampled_from(TAGS), partial_parts, max_size=1)
)
partials = st.fixed_dictionaries(dict.fromkeys(NAMES, contents)).map(
    lambda known: {name: PartialVersion(name, i, content) for i, (name, content) in enumerate(known.items())}
)
mails = st.one_of(
    st.builds(EmailParts, st.just("Hi"), sources),
    st.builds(EmailParts, st.just("Hi"), st.just(""), whole_mjml, sources),
)
said = st.builds(ChannelParts, mails, st.none(), st.builds(SmsParts, sources.map("s".__add__) | sources))
templates = st.builds(
    TemplateContent,
    st.just("service"),
    said,
    st.dictionaries(st.sampled_from(TAGS), said, max_size=2),
    st.sampled_from(["", "", "", "", "", "fr", "german", "de"]),
    st.dictionaries(st.sampled_from(["gsw", "pt-PT", "de"]), st.sampled_from(TAGS), max_size=1),
)


def checked_or_refused(
    content: TemplateContent, known: dict[str, PartialVersion]
) -> CheckedTemplate | Invalid:
    try:
        return check_template(content, known)
    except Invalid as error:
        return error


@settings(max_examples=300, deadline=None)
@given(
    content=templates,
    known=partials,
    language=st.sampled_from(LANGUAGES),
    name=st.sampled_from(["<&>'", "", 7, None]),
)
@example(
    content=TemplateContent(
        "service", ChannelParts(sms=SmsParts("{% extends 'a' %}{% block x %}{{ super() }}{% endblock %}"))
    ),
    known={"a": PartialVersion("a", 1, PartialContent(text="{% extends 'a' %}{% block x %}{% endblock %}"))},
    language="de",
    name="x",
)
def test_it_is_refused_by_path_or_renders(
    content: TemplateContent, known: dict[str, PartialVersion], language: str, name: Any
):
    lint_template(content, known, "marketing")
    needed_partials(content, known)
    checked = checked_or_refused(content, known)
    if isinstance(checked, Invalid):
        assert checked.path
        assert checked.detail
        return
    assert checked.resolved is not None
    version = make_version("t", 1, content, known)
    locale = choose_locale(version, language, "pt")
    assert locale in {"", *checked.resolved.locales}
    items = [
        RenderItem(b"t", version, "email", {"name": name}, locale),
        RenderItem(b"t", version, "sms", {"name": name}, locale),
    ]
    for made in Renderer().render_batch(items):
        assert isinstance(made, Rendered | RenderFailure)
        if isinstance(made, Rendered):
            assert "data-inline" not in made.html


@settings(max_examples=150, deadline=None)
@given(content=contents, known=partials, name=st.sampled_from(NAMES))
def test_a_partial_is_refused_or_can_be_included(
    content: PartialContent, known: dict[str, PartialVersion], name: str
):
    try:
        check_partial(name, content, known)
    except Invalid:
        return
    if not content.text:
        return
    with_it = {**known, name: PartialVersion(name, 1, content)}
    check_template(
        TemplateContent("service", ChannelParts(sms=SmsParts(f"x{{% include '{name}' %}}"))), with_it
    )
