"""Style rules in their elements: the same whether that is done once or for each message, and never at any price."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.templates import Rendered, TemplateContent, check_template
from clarion.templates.css import MAX_DEPTH, MAX_ELEMENTS, inline_after, inline_styles, needs_inlining
from tests.unit.templates.support import email, html_of, refusal_of, render

AFTER = '<style data-inline="after">'


def styles_of(html: str) -> list[tuple[str, dict[str, str]]]:
    """Each element with what its `style` comes to."""
    found: list[tuple[str, dict[str, str]]] = []
    for name, attributes in re.findall(r"""<([a-z]\w*)((?:[^<>"']|"[^"]*"|'[^']*')*)>""", html):
        style = re.search(r"""style=(?:"([^"]*)"|'([^']*)')""", attributes)
        said: dict[str, tuple[bool, str]] = {}
        for declaration in unescape((style[1] or style[2] or "") if style else "").split(";"):
            prop, colon, value = declaration.partition(":")
            plain = value.replace("!important", "").replace('"', "'").strip()
            is_important = "!important" in value
            if colon and (is_important or not said.get(prop.strip(), (False, ""))[0]):
                said[prop.strip()] = (is_important, plain)
        found.append((name, {prop: value for prop, (_, value) in said.items()}))
    return found


def test_rules_go_into_the_elements_they_are_for():
    source = "<style>p { color: red } .big { font-size: 20px; color: blue } #one{margin:0}</style>"
    html = html_of(source + '<p>a</p><p class="big x" id="one">b</p><i>c</i>')
    style = "font-size:20px;color:blue;margin:0"
    assert html == f'<p style="color:red">a</p><p class="big x" id="one" style="{style}">b</p><i>c</i>'


def test_what_an_element_says_itself_wins_but_for_what_is_important():
    source = "<style>p { color: red; margin: 0 } p { width: 9px !important }</style>"
    html = html_of(source + "<p style='color:{{ c }}; width:1px;'>a</p>", c="blue")
    assert styles_of(html) == [("p", {"color": "blue", "margin": "0", "width": "9px"})]


def test_specific_rules_win_over_later_ones():
    source = "<style>p.a { color: red } p { color: blue } .a { color: green }</style>"
    assert styles_of(html_of(source + '<p class="a">x</p>')) == [("p", {"color": "red"})]


def test_what_cannot_be_inlined_stays():
    media = "@media (max-width:600px) { .a { width: 1px !important } }"
    html = html_of(
        f'<style>{media} a:hover {{ color: red }} .a, .nobody {{ x: y }}</style><p class="a">x</p>'
    )
    assert html.startswith(f"<style>{media} a:hover{{color: red}} .nobody{{x: y}}</style>")
    assert '<p class="a" style="x:y">' in html


@pytest.mark.parametrize(
    "opening", ['<style data-css-inline="ignore">', '<style media="print">', '<style type="text/x-other">']
)
def test_sheets_that_are_not_for_inlining_stay_as_they_are(opening: str):
    source = opening + "p { color: red }</style><p>x</p>"
    assert html_of(source) == source


def test_styles_in_comments_are_outlooks_own():
    source = "<!--[if mso]><style>p { color: red }</style><![endif]--><p>x</p>"
    assert html_of(source) == source


def test_lines_keep_their_numbers():
    source = "<style>\np {\n color: red\n}\n</style>\n<p>\n{{ x }}</p>"
    assert inline_styles(source).count("\n") == source.count("\n")
    assert inline_styles(source).splitlines()[-1] == "{{ x }}</p>"
    assert refusal_of(email("x", source.replace("{{ x }}", "{{ x|uper }}"))).detail.startswith("line 7: ")


def test_tags_of_the_language_stay_where_they_are():
    source = (
        "<style>td { color: red }</style><table>{% for r in rows %}<tr>{% if r %}<td title=\"{{ r|default('-') }}\">"
        "{{ r }}</td>{% endif %}</tr>{% endfor %}</table>"
    )
    assert html_of(source, rows=[1, 0, 2]) == (
        '<table><tr><td title="1" style="color:red">1</td></tr><tr></tr>'
        '<tr><td title="2" style="color:red">2</td></tr></table>'
    )


@pytest.mark.parametrize(
    "source",
    [
        "<style>div p { color: red }</style><div><p>x</p></div>",
        "<style>p:first-child { color: red }</style><div><p>x</p></div>",
        "<style>p[title] { color: red }</style><p title='a'>x</p>",
        "<style>* { color: red }</style><p>x</p>",
        '<style>.red { color: red }</style><p class="{{ cls }}">x</p>',
        "<style>p { color: {{ color }} }</style><p>x</p>",
        "<style>p { color: red }</style>{{ html|safe }}",
    ],
)
def test_what_takes_the_document_is_inlined_after_rendering(source: str):
    html = html_of(source, cls="red", color="red", html="<p>x</p>")
    assert ("p", {"color": "red"}) in styles_of(html)
    assert "data-inline" not in html


def test_a_document_that_is_inlined_late_keeps_its_text_and_comments():
    source = "<style>div p{color:red}</style><!--[if mso]><b>o</b><![endif]--><div><p>{{ x }}</p></div>"
    html = html_of(source, x="1 < 2 & 3")
    assert "<!--[if mso]><b>o</b><![endif]-->" in html
    assert '<p style="color: red;">1 &lt; 2 &amp; 3</p>' in html


SELECTORS = st.sampled_from(["p", "td", ".a", ".b", "td.a", ".a.b", "#i", "p#i.a"])
DECLARATIONS = st.sampled_from(
    [
        "color:red",
        "color:blue",
        "color: green !important",
        "margin:0",
        "margin-top:1px",
        "font-family:'A B'",
        "width:1px",
    ]
)
RULES = st.lists(
    st.tuples(st.lists(SELECTORS, min_size=1, max_size=2), st.lists(DECLARATIONS, min_size=1, max_size=3)),
    max_size=6,
)
ELEMENTS = st.lists(
    st.tuples(
        st.sampled_from(["p", "i", "b"]),
        st.sampled_from(["", ' class="a"', ' class="b a"', ' id="i"', ' id="i" class="a"']),
        st.sampled_from(["", ' style="color:black"', " style='margin:2px;width:3px'"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(rules=RULES, elements=ELEMENTS)
def test_both_ways_give_the_same(
    rules: list[tuple[list[str], list[str]]], elements: list[tuple[str, str, str]]
):
    css = "".join(f"{','.join(selectors)}{{{';'.join(said)}}}" for selectors, said in rules)
    body = "".join(f"<{name}{attributes}{style}>x</{name}>" for name, attributes, style in elements)
    now, after = inline_styles(f"<style>{css}</style>{body}"), inline_after(f"{AFTER}{css}</style>{body}")
    late = [each for each in styles_of(after) if each[0] not in {"html", "head", "body", "style"}]
    assert [each for each in styles_of(now) if each[0] != "style"] == late


@pytest.mark.parametrize(
    "html",
    [
        f"{AFTER}.a b{{color:red}}</style>" + "<div>" * 100_000,
        f"{AFTER}.a b{{color:red}}</style>" + "".join(f"<b id=x{i}>" for i in range(2000)) + "<p>x" * 2000,
        f"{AFTER}.a b{{color:red}}</style>" + "<p>x</p>" * 30_000,
        f"{AFTER}.a b{{{'color:red;' * 6000}}}</style>" + "<p class=a><b>x</b></p>" * 1200,
        AFTER * 9000,
        f"{AFTER}p{{a:" + "(" * 60_000 + "}</style><p>x</p>",
        f"{AFTER}" + ":is(" * 3000 + "p" + ")" * 3000 + "{a:b}</style><p>x</p>",
        f"{AFTER}}}}}{{{{@@;;;:::</style><p>x</p>",
    ],
    ids=["deep", "open", "many", "written", "unclosed", "values", "selectors", "nonsense"],
)
def test_a_bomb_in_a_rendered_mail_leaves_its_rules_where_they_are(html: str):
    assert "data-inline" not in inline_after(html)


def test_at_its_bounds_a_document_is_still_inlined():
    deep = "<div>" * (MAX_DEPTH - 10) + "<p>x</p>" + "</div>" * (MAX_DEPTH - 10)
    wide = "<p>x</p>" * (MAX_ELEMENTS // 2 - MAX_DEPTH)
    assert inline_after(f"{AFTER}div p{{color:red}}</style>{deep}{wide}").count("color: red") == 1


def test_a_loop_that_opens_elements_without_end_kills_nobody():
    loops = "{% for i in range(500) %}{% for j in range(4) %}<div>{% endfor %}{% endfor %}"
    source = f"<style>div p{{color:red}}</style>{loops}<p>x</p>"
    result = render(email("x", source), {})
    assert isinstance(result, Rendered)
    assert result.html.count("<div>") == 2000


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<style>" + ".a{x:y}" * 301 + "</style><p>", "more than 300 selectors"),
        (
            "<style>.a{font-family:'" + "x" * 30_000 + "'}</style>" + "<p class=a>" * 100,
            "more than 98304",
        ),
    ],
)
def test_too_much_style_is_refused(source: str, words: str):
    refusal = refusal_of(email("x", source))
    assert refusal.path == "channels.email.html"
    assert words in refusal.detail


@pytest.mark.parametrize(
    "bomb", ["<style>" * 9000, "<!--" * 15_000, "<script>" * 8000, "/*" * 30_000, '"' * 60_001, "(" * 60_000]
)
def test_reading_a_style_takes_no_time_whatever_it_holds(bomb: str):
    # Each took seconds in a first version: this test would not end in time.
    inline_styles(f"<style>.a{{b:c;{bomb}}}</style><p class=a>")
    inline_styles(f"<style>.a{{b:c}}</style>{bomb}")


def test_a_mail_without_rules_is_not_touched():
    source = "<HTML><p CLASS=a>x<style></style>"
    assert inline_styles(source) == source
    assert not needs_inlining(source)
    resolved = check_template(email("x", "<p>x</p>")).resolved
    assert resolved is not None
    assert resolved.channels == email("x", "<p>x</p>").channels


def test_content_keeps_what_its_author_wrote():
    content: TemplateContent = email("x", "<style>p{color:red}</style><p>x</p>")
    assert check_template(content).content == content
