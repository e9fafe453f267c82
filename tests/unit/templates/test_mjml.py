"""MJML: made HTML when a template is saved, with its tags in it, and refused before it can do harm."""

from __future__ import annotations

import re
from html import unescape

import pytest

from clarion.templates import (
    ChannelParts,
    EmailParts,
    PartialContent,
    Rendered,
    TemplateContent,
    check_template,
)
from tests.unit.templates.support import email, partials, refusal_of, render


def mjml(source: str) -> TemplateContent:
    return TemplateContent("service", ChannelParts(email=EmailParts("Hello", mjml=source)))


def column(inside: str, head: str = "") -> str:
    """A document with something in its one column, on its third line."""
    return f"<mjml>{head}<mj-body>\n<mj-section><mj-column>\n{inside}\n</mj-column></mj-section></mj-body></mjml>"


def html_of(source: str, **variables: object) -> str:
    result = render(mjml(source), dict(variables))
    assert isinstance(result, Rendered), result
    return result.html


def text_of(html: str) -> str:
    """What readers see, comments for Outlook left out."""
    body = re.sub(r"(?s)<!--.*?-->", "", html[html.index("<body") :])
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_it_becomes_html_that_mail_clients_know():
    html = html_of(column("<mj-text>Hello {{ name }}</mj-text>"), name="A&B")
    assert html.startswith("<!doctype html>")
    assert "<mj-" not in html
    assert "Hello A&amp;B" in html


def test_a_text_is_made_of_what_it_became():
    result = render(
        mjml(column('<mj-text>Hi</mj-text><mj-button href="{{ u }}">Go</mj-button>')), {"u": "https://a.b"}
    )
    assert isinstance(result, Rendered)
    assert result.text.split() == ["Hi", "Go", "(https://a.b)"]


def test_loops_and_conditions_go_around_components():
    source = (
        "<mjml><mj-body>{% for s in sections %}<mj-section><mj-column>"
        "{% if s.on %}<mj-text>{{ s.name }}</mj-text>{% else %}<mj-divider/>{% endif %}"
        "</mj-column></mj-section>{% endfor %}</mj-body></mjml>"
    )
    html = html_of(source, sections=[{"on": True, "name": "a"}, {"on": False}, {"on": True, "name": "c"}])
    assert text_of(html) == "a c"
    assert html.count("border-top:solid") >= 1


def test_loops_stay_inside_tables():
    rows = "<mj-table>{% for r in rows %}<tr><td>{{ r }}</td></tr>{% endfor %}</mj-table>"
    html = html_of(
        column(rows, '<mj-head><mj-style inline="inline">td { color: red }</mj-style></mj-head>'), rows=[1, 2]
    )
    assert re.search(r"<table[^>]*>\s*(?:<tbody>)?<tr><td[^>]*>1</td></tr>", html)
    assert text_of(html) == "1 2"


def test_signs_in_tags_are_no_markup():
    source = column("<mj-text>{% if a < b %}less{% endif %} {{ '<&>' }} {{ x|default(\"none\") }}</mj-text>")
    assert text_of(html_of(source, a=1, b=2)) == "less &lt;&amp;&gt; none"


def test_attributes_take_values_and_conditions():
    button = '<mj-button href="{% if vip %}{{ url }}{% else %}https://b.example{% endif %}">Go</mj-button>'
    html = html_of(column(button), vip=True, url="https://a.example")
    assert 'href="https://a.example"' in unescape(html)


def test_comments_of_the_author_stay():
    assert "<!--{{ x }}-->".replace("{{ x }}", "7") in html_of(
        column("<mj-text>a<!--{{ x }}--></mj-text>"), x=7
    )


def test_its_inlined_styles_are_inlined():
    head = '<mj-head><mj-style inline="inline">.price { color: #c0ffee }</mj-style></mj-head>'
    html = html_of(column('<mj-text><span class="price">1</span></mj-text>', head))
    assert re.search(r'<span class="price" style="color: ?#c0ffee;?">1</span>', html)


def test_partials_are_components_or_html():
    known = partials(
        foot=PartialContent(
            mjml="<mj-section><mj-column><mj-text>{{ n }}</mj-text></mj-column></mj-section>"
        ),
        legal=PartialContent(html="<i>{{ n }}</i>"),
    )
    source = "<mjml><mj-body>{% include 'foot' %}<mj-raw>{% include 'legal' %}</mj-raw></mj-body></mjml>"
    result = render(mjml(source), {"n": 5}, known)
    assert isinstance(result, Rendered)
    assert text_of(result.html) == "5 5"
    assert "<i>5</i>" in result.html


def test_a_layout_may_be_mjml():
    base = PartialContent(mjml=column("{% block body %}<mj-spacer/>{% endblock %}"))
    source = "{% extends 'base' %}{% block body %}<mj-text>Hi</mj-text>{% endblock %}"
    result = render(mjml(source), {}, partials(base=base))
    assert isinstance(result, Rendered)
    assert text_of(result.html) == "Hi"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (column("<mj-txt>Hi</mj-txt>"), "line 3: there is no component `mj-txt`"),
        (column("<p>Hi</p>"), "line 3: `<p>` can only stand in mj-text"),
        (
            column("<mj-text>\n<mj-text>x</mj-text></mj-text>"),
            "line 4: `mj-text` takes HTML, not the component",
        ),
        (column('<mj-include path="/etc/passwd"/>'), "use a partial"),
        (column("<mj-all/>"), "belongs into `mj-attributes`"),
        (column("<mj-text>a"), "`</mj-column>` ends nothing here; `<mj-text>` ends first"),
        (column("</mj-text>"), "line 3: `</mj-text>` ends nothing here"),
        ("<mjml><mj-body>", "`<mj-body>` has no end"),
        (column("<mj-text><!-- x</mj-text>"), "a comment has no end"),
        (column("<mj-text>1 < 2</mj-text>"), "it is no MJML"),
        (column("<mj-image width={{ w }} />"), "put the value in quotes"),
        (column('<mj-image {{ w }} src="x"/>'), "inside a tag"),
        (column('<mj-image width="{{ w }}" src="x"/>'), "line 3: MJML drops or moves `{{ w }}` from here"),
        (column('<mj-text bogus="{{ w }}">x</mj-text>'), "MJML drops or moves `{{ w }}`"),
        (
            column('<mj-text color="{% if a %}red{% endif %}">{{ x|uper }}</mj-text>'),
            "line 3: no filter `uper`",
        ),
        (column("<mj-text>{% if a %}</mj-text>"), "unexpected"),
        (column('<mj-button href="javascript:x">Go</mj-button>'), "javascript:"),
        ("Hello", "it is no MJML"),
        ("", "needs `html`, `mjml` or `text`"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(source: str, words: str):
    refusal = refusal_of(mjml(source))
    assert refusal.path in {"channels.email.mjml", "channels.email"}
    assert words in refusal.detail


@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        (column("<mj-text>" + "<div>" * 3000 + "</div>" * 3000 + "</mj-text>"), "more than 100 deep"),
        (column("<mj-raw>" * 3000), "takes HTML, not the component"),
        ("<mjml>" * 3000, "more than 100 deep"),
        (column("<mj-spacer/>" * 2500), "more than 2000 elements"),
        (column("<mj-carousel>" + "<mj-carousel-image/>" * 1000 + "</mj-carousel>"), "at most 20 images"),
        (
            column(
                '<mj-text mj-class="a">x</mj-text>' * 900,
                f'<mj-head><mj-attributes><mj-class name="a" css-class="{"y" * 9000}"/></mj-attributes></mj-head>',
            ),
            "more than 4096 characters",
        ),
        (
            column(
                '<mj-text mj-class="a">x</mj-text>' * 900,
                f'<mj-head><mj-attributes><mj-class name="a" css-class="{"y" * 4000}"/></mj-attributes></mj-head>',
            ),
            "the most is 98304",
        ),
        (
            column(
                "<mj-text>x</mj-text>",
                f'<mj-head><mj-style inline="inline">{".a{} " * 300}</mj-style></mj-head>',
            ),
            "more than 200 selectors",
        ),
        ("<mjml>" + "<!--" * 15_000, "a comment has no end"),
        (column("<mj-text>" + "{{ x }}" * 1000 + "</mj-text>" + "x" * 70_000), "the most is 65536"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_bomb_is_refused_before_it_is_compiled(bomb: str, words: str):
    assert words in refusal_of(mjml(bomb)).detail


def test_html_and_mjml_exclude_each_other():
    content = TemplateContent(
        "service", ChannelParts(email=EmailParts("x", "<p>", column("<mj-text>x</mj-text>")))
    )
    assert refusal_of(content).path == "channels.email.mjml"


def test_what_is_stored_is_the_html():
    resolved = check_template(mjml(column("<mj-text>{{ a }}</mj-text>"))).resolved
    assert resolved is not None
    assert resolved.channels.email is not None
    assert resolved.channels.email.mjml == ""
    assert "{{ a }}" in resolved.channels.email.html
    assert check_template(email("x", resolved.channels.email.html)).variables == ("a",)
