from __future__ import annotations

import pytest

from clarion.templates import html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<p>Hello</p><p>World</p>", "Hello\n\nWorld"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<h1>A</h1>\n\n\n<div> b </div><div>c</div>", "A\n\nb\n\nc"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("<table><tr><td>a</td><td>1</td></tr><tr><td>b</td><td>2</td></tr></table>", "a 1\n\nb 2"),
        (
            'See <a href="https://x.example/?a=1&amp;b=2">our site</a>.',
            "See our site (https://x.example/?a=1&b=2).",
        ),
        ('<a href="https://x.example">https://x.example</a>', "https://x.example"),
        ("<a class=x href='mailto:a@b.example'>Mail us</a>", "Mail us (mailto:a@b.example)"),
        ('<a href="#top">Up</a> <a name="x">y</a>', "Up y"),
        ("<style>p { color: red }</style><script>alert(1)</script><title>T</title>x<!-- no -->y", "xy"),
        ("x<style>never closed", "x"),
        ("x<!-- never closed", "x"),
        ("&lt;b&gt; &amp; &eacute;&nbsp;&nbsp;z", "<b> & é z"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a   b\n\tc", "a b c"),
        ("<b>bold</b><i>ital</i>", "boldital"),
        ("<IMG src=x><BR><P>y", "y"),
    ],
)
def test_html_becomes_readable_text(html: str, text: str):
    assert html_to_text(html) == text


def test_no_input_makes_it_slow():
    for evil in ("<" * 100_000, "<a " * 50_000, "<!--" * 30_000, "<style" * 30_000, "<p" * 60_000, " \n" * 60_000,
                 "<a href=" * 20_000, "<a href='" * 20_000, "</a" * 30_000, "&" * 100_000):  # fmt: skip
        assert len(html_to_text(evil)) <= len(evil)
