"""Reading the tags of an HTML document, one after the other: not a parser, but linear in whatever it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_OPENING: Final = re.compile(
    r"""(?P<comment><!--)|<(?P<raw>style|script|title|textarea)\b(?P<within>[^<>]*)>"""
    r"""|<(?P<name>[a-z][\w:-]*)(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>""",
    re.IGNORECASE,
)
_CLOSING: Final = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("style", "script", "title", "textarea")
}
_ATTRIBUTE: Final = re.compile(r"""([^\s=/"'<>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>]+))?""")


class Element(msgspec.Struct, frozen=True):
    """An element's tag, from `start` to `end`, its `attributes` at `place`; of a style element all, with its `css`."""

    name: str
    start: int
    end: int
    attributes: str
    place: int
    css: str | None = None


def read_elements(text: str) -> Iterator[Element]:
    """The tags that begin elements, without those in comments and scripts. What has no end, ends the text."""
    position = 0
    while match := _OPENING.search(text, position):
        position = match.end()
        if match["comment"]:
            closed = text.find("-->", position)
            if closed < 0:
                return
            position = closed + 3
        elif match["raw"]:
            name = match["raw"].lower()
            closing = _CLOSING[name].search(text, position)
            if closing is None:
                return
            css = text[position : closing.start()] if name == "style" else None
            yield Element(name, match.start(), closing.end(), match["within"], match.start("within"), css)
            position = closing.end()
        else:
            yield Element(
                match["name"].lower(), match.start(), position, match["attributes"], match.start("attributes")
            )


def attributes_of(text: str) -> dict[str, re.Match[str]]:
    """The attributes of an element by name; of two with one name, the first holds."""
    return {found[1].lower(): found for found in reversed(list(_ATTRIBUTE.finditer(text)))}


def value_of(attributes: dict[str, re.Match[str]], name: str) -> str:
    """The value of an attribute without its quotes; "" where there is none."""
    found = attributes.get(name)
    return (found[2] or "").strip("\"'") if found is not None else ""
