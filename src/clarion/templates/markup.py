"""What HTML asks of a template beyond escaping: values only where escaping protects, and no link that runs a script."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from clarion.kernel.errors import Invalid
from clarion.templates.syntax import Piece, Tag

_SCRIPT_URL: Final = re.compile(
    r"""=\s*+["']?\s*+(?:(?:j\s*a\s*v\s*a|v\s*b)\s*s\s*c\s*r\s*i\s*p\s*t\s*:"""
    r"""|d\s*a\s*t\s*a\s*:\s*t\s*e\s*x\s*t\s*(?:/|&\#x2f;)\s*h\s*t\s*m\s*l\s*[;,])""",
    re.IGNORECASE,
)
"""An attribute value that begins with a scheme that runs. Browsers skip white space inside a scheme; other control
characters never come this far, and a variable's `&` is escaped, so no entity can hide a letter."""

_MAYBE_SCRIPT_URL: Final = re.compile(r"""=["'\s]*+[jvdJVD]""")
"""A third of the cost of _SCRIPT_URL, for the mails that have nothing like it."""

_URL_ATTRIBUTES: Final = r"(?:href|src|action|background|poster|data|cite|ping)\s*"
_URL_ATTRIBUTE: Final = re.compile(_URL_ATTRIBUTES + r"\Z", re.IGNORECASE)
_URL_BEGINS_WITH_TAG: Final = re.compile(
    _URL_ATTRIBUTES + r"""=\s*+["']?\s*+(?:\{[%#]|\{\{(?!-?\s*links\.\w+\s*-?\}\}))""", re.IGNORECASE
)

_MARKUP: Final = re.compile(
    r"(?P<comment><!--)|<(?P<raw>script|style|title|textarea)\b|</?[a-zA-Z]", re.IGNORECASE
)
_IN_TAG: Final = re.compile(
    r"""\s*+(?:(?P<end>>)|(?P<name>[^\s=>"'/]*+)(?P<sign>\s*+=\s*+(?P<quote>["'])?)?)"""
)
_BARE_VALUE: Final = re.compile(r"[^\s>]*+")
_DANGLING: Final = re.compile(r"</?\Z")


def may_hold_script_link(source: str) -> bool:
    """Whether a link in a template begins with a tag, other than one of the `links` that we make ourselves."""
    return _URL_BEGINS_WITH_TAG.search(source) is not None


def has_script_link(html: str) -> bool:
    """Whether a link, source or form target in rendered HTML begins with `javascript:` or the like."""
    return _MAYBE_SCRIPT_URL.search(html) is not None and any(
        _URL_ATTRIBUTE.search(html, max(0, match.start() - 24), match.start())
        for match in _SCRIPT_URL.finditer(html)
    )


def check_markup(pieces: list[Piece], path: str) -> None:
    """Raises Invalid at `path` for an output where HTML's escaping protects nothing, with its line and the remedy.

    That is: inside `<script>`, in an event handler (`onclick`), in an attribute without quotes, and in a tag outside an
    attribute's value. The branches of an `if` are read as alternatives.
    """
    reader = _MarkupReader()
    branches: list[_Place] = []
    for piece in pieces:
        if piece.tag is None:
            reader.feed(piece.text)
        elif piece.tag.kind == "output":
            problem = reader.problem()
            if problem:
                raise Invalid(f"line {piece.line}: {problem}", path)
        else:
            _follow_branches(piece.tag, reader, branches)


class _Place(msgspec.Struct, frozen=True):
    """Where in a document a text ends. `element` names one whose content is no markup, inside it and in its tag."""

    kind: Literal["text", "comment", "raw", "tag", "quoted", "bare", "dangling"]
    element: str = ""
    attribute: str = ""
    quote: str = ""


_TEXT: Final = _Place("text")


def _follow_branches(tag: Tag, reader: _MarkupReader, branches: list[_Place]) -> None:
    if tag.word == "if":
        branches.append(reader.place)
    elif tag.word in {"elif", "else"} and branches:
        reader.place = branches[-1]
    elif tag.word == "endif" and branches:
        branches.pop()


class _MarkupReader:
    """Follows an HTML document piece by piece; `place` is where it ends so far."""

    def __init__(self) -> None:
        self.place = _TEXT

    def problem(self) -> str:
        """Why a value must not be put here; "" if it may."""
        place = self.place
        if place.kind == "raw" and place.element == "script":
            return "a value inside <script> can run as code; mail clients drop scripts anyway"
        if place.kind == "quoted" and place.attribute.lower().startswith("on"):
            return f"a value inside {place.attribute}=… can run as code; use a link"
        if place.kind == "bare":
            return f'put the value in quotes: {place.attribute}="{{{{ … }}}}"'
        if place.kind in {"tag", "dangling"}:
            return "inside a tag, a value can only stand in an attribute's quotes"
        return ""

    def feed(self, text: str) -> None:
        """Read on through `text`."""
        position = 0
        while position < len(text):
            if self.place.kind in {"text", "dangling"}:
                position = self._in_text(text, position)
            elif self.place.kind in {"tag", "bare"}:
                position = self._in_tag(text, position)
            else:
                position = self._up_to_end(text, position)

    def _in_text(self, text: str, position: int) -> int:
        match = _MARKUP.search(text, position)
        if match is None:
            self.place = _Place("dangling") if _DANGLING.search(text, position) else _TEXT
            return len(text)
        self.place = _Place("comment") if match["comment"] else _Place("tag", (match["raw"] or "").lower())
        return match.end()

    def _up_to_end(self, text: str, position: int) -> int:
        place = self.place
        ending = {"comment": "-->", "raw": f"</{place.element}", "quoted": place.quote}[place.kind]
        end = re.compile(re.escape(ending), re.IGNORECASE).search(text, position)
        if end is None:
            return len(text)
        self.place = {
            "comment": _TEXT,
            "raw": _Place("tag"),
            "quoted": _Place("tag", place.element),
        }[place.kind]
        return end.end()

    def _in_tag(self, text: str, position: int) -> int:
        place = self.place
        if place.kind == "bare" and (value := _BARE_VALUE.match(text, position)):
            if value.end() < len(text):
                self.place = _Place("tag", place.element)
            return value.end()
        match = _IN_TAG.match(text, position)
        if match is None:
            return len(text)
        if match["end"]:
            self.place = _Place("raw", place.element) if place.element else _TEXT
        elif match["quote"]:
            self.place = _Place("quoted", place.element, match["name"], match["quote"])
        elif match["sign"]:
            self.place = _Place("bare", place.element, match["name"])
        return max(match.end(), position + 1)
