from __future__ import annotations

from html.parser import HTMLParser

import pytest

from clarion.templates import check_template
from tests.unit.templates.support import email, failure_of, html_of, refusal_of, text_of

EVIL = """<script>alert("1")</script>'&"""


class _Tags(HTMLParser):
    """The elements and attributes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def _tags(html: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.found


def test_a_value_adds_no_element_and_no_attribute():
    html = html_of(
        """<p title="{{ x }}" lang='{{ x }}'>{{ x }}</p>{{ x|upper }}{{ [x]|join }}{{ x|tojson }}""", x=EVIL
    )
    assert _tags(html) == [("p", [("title", EVIL), ("lang", EVIL)])]


def test_what_the_template_calls_safe_is_left_alone():
    assert html_of("{{ x|safe }}{{ [x, y|safe]|join(',') }}", x="<i>", y="<b>") == "<i>&lt;i&gt;,<b>"


def test_plain_parts_are_not_escaped():
    assert text_of("{{ x }}", x=EVIL) == EVIL


def test_a_value_can_be_put_into_a_url():
    html = html_of('<a href="https://x.example/?q={{ q|urlencode }}">x</a>', q='a b&c="d"é/')
    assert _tags(html) == [("a", [("href", "https://x.example/?q=a%20b%26c%3D%22d%22%C3%A9/")])]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "vbscript:x",
        "data:text/html,<script>alert(1)</script>",
        "DATA:text/html;base64,AAAA",
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ url }}">x</a>',
        "<a href = '{{ url }}'>x</a>",
        '<form action="{{ url }}">x</form>',
        '<a href="{% if url %}{{ url }}{% endif %}">x</a>',
        '<a href="{# #}{{ url }}">x</a>',
        '<a class="d" href="{{ url[:4] }}{{ url[4:] }}">x</a>',
        '<img src="{{ url|trim }}">',
    ],
)
def test_a_link_cannot_run_a_script(source: str, url: str):
    failure = failure_of(email(html=source), url=url)
    assert (failure.kind, failure.part) == ("unsafe_link", "email.html")


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/javascript:1",
        "mailto:a@b.example",
        "tel:+331",
        "/data:text/html",
        "javascripts",
        "data:image/png",
    ],
)
def test_other_links_pass(url: str):
    assert _tags(html_of('<a href="{{ url }}">javascript: an introduction</a>', url=url)) == [
        ("a", [("href", url)])
    ]


def test_a_script_in_a_text_or_title_is_no_link():
    html = '<p title="{{ x }}">{{ x }}</p>'
    assert _tags(html_of(html, x="javascript: the good parts")) == [
        ("p", [("title", "javascript: the good parts")])
    ]


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<a href={{ x }}>x</a>", 'in quotes: href="{{'),
        ("<a href=https://x.example/{{ x }}>x</a>", "in quotes"),
        ("<a onclick=\"go('{{ x }}')\">x</a>", "inside onclick="),
        ("<script>var x = {{ x|tojson }}</script>", "inside <script>"),
        ("<td {{ x }}>y</td>", "inside a tag"),
        ("<{{ x }}>", "inside a tag"),
        ("</{{ x }}>", "inside a tag"),
        ("<b>a</b><i\n{{ x }}>", "inside a tag"),
        ("<a href='javascript:alert(1)'>x</a>", "begins with `javascript:`"),
    ],
)
def test_a_value_where_escaping_protects_nothing_is_refused(html: str, words: str):
    refusal = refusal_of(email(html=html))
    assert refusal.path == "channels.email.html"
    assert words in refusal.detail


@pytest.mark.parametrize(
    "html",
    [
        "<td {% if x %}class='a'{% endif %}>{{ x }}</td>",
        "<td class=\"{% if x %}a{% else %}b{% endif %}\" style='color: {{ x }}'>{{ x }}</td>",
        "{% if x %}<td class='a{% else %}<td class='b{% endif %}'>{{ x }}</td>",
        "<style>.a { color: {{ x }} }</style><title>{{ x }}</title>{{ x }}",
        "<!-- {{ x }} <a href= -->{{ x }}",
        "1 < 2 {{ x }} 2 > 1 {{ x }}",
        "<script src='https://x.example/a.js'></script>{{ x }}",
        "<br/>{{ x }}<img src=a.png alt='{{ x }}'>{{ x }}",
        "<a title='>' href='{{ x }}'>{{ x }}</a>",
        "<textarea><a href={{ x }}></textarea>{{ x }}",
    ],
)
def test_a_value_where_escaping_protects_passes(html: str):
    check_template(email(html=html))


def test_reading_markup_takes_linear_time():
    for evil in (
        "<a " + "x " * 30_000,
        "<a x" + " " * 60_000,
        "<" * 60_000,
        "<!--" * 15_000,
        "=" * 60_000,
        "<a b=" * 12_000,
    ):
        check_template(email(html=evil + "</a>"))
    value = "=" + " " * 100_000
    assert html_of("<a href='{{ x }}'>{{ y }}</a>", x="https://x.example", y=value).count(" ") > 100_000
