"""The plain part of an e-mail that has only HTML.

Regular expressions, and not `html.parser`, which takes more than twice as long, since this runs once a message. Each of
them reads its input once: none can be made slow by what a variable holds.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

_UNSEEN: Final = re.compile(r"<!--|<(style|script|title)\b", re.IGNORECASE)
_ANCHOR: Final = re.compile(r"<a\s[^<>]*>|</a\s*>", re.IGNORECASE)
_HREF: Final = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_PARAGRAPH: Final = re.compile(r"</?(?:p|h[1-6]|ul|ol|table|blockquote|pre|hr)\b[^<>]*>", re.IGNORECASE)
_LINE: Final = re.compile(r"<br\b[^<>]*>|</?(?:div|tr|section|article|header|footer)\b[^<>]*>", re.IGNORECASE)
_ITEM: Final = re.compile(r"<li\b[^<>]*>", re.IGNORECASE)
_CELL: Final = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[a-zA-Z!][^<>]*>")
_SPACES: Final = re.compile(r"[ \t\xa0]{2,}|[\t\xa0]")
_LINE_ENDS: Final = re.compile(r" ?\n ?")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def html_to_text(html: str) -> str:
    """Readable text of an HTML document: paragraphs, list items and links (`label (https://…)`) survive.

    At most one empty line in a row, no spaces at the ends of lines.
    """
    text = " ".join(_drop_unseen(html).split())
    text = _write_links(text)
    text = _PARAGRAPH.sub("\n\n", text)
    text = _LINE.sub("\n", text)
    text = _ITEM.sub("\n- ", text)
    text = _CELL.sub(" ", text)
    text = unescape(_TAG.sub("", text))
    text = _LINE_ENDS.sub("\n", _SPACES.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def _drop_unseen(html: str) -> str:
    kept: list[str] = []
    position = 0
    while match := _UNSEEN.search(html, position):
        kept.append(html[position : match.start()])
        element = match.group(1)
        closing = rf"</{element}\s*>" if element else "-->"
        end = re.compile(closing, re.IGNORECASE).search(html, match.end())
        position = end.end() if end else len(html)
    kept.append(html[position:])
    return "".join(kept)


def _write_links(text: str) -> str:
    target, label_start = "", 0

    def write(match: re.Match[str]) -> str:
        nonlocal target, label_start
        if match.group().startswith("</"):
            shown = target in text[label_start : match.start()]
            suffix = "" if shown else f" ({target})"
            target = ""
            return suffix
        href = _HREF.search(match.group())
        target = (href.group(1) or href.group(2) or "").strip() if href else ""
        if target.startswith("#"):
            target = ""
        label_start = match.end()
        return ""

    return _ANCHOR.sub(write, text)
