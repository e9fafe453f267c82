"""Which templates may be rendered without a guard on every value they read and print.

The guard (`meter.make_finalizer` and `values.FrozenMap`) costs more than the rendering itself. It is there for what
most templates do not do: print null, ask for a method's name, repeat long values in loops. Where the source shows that
a template does none of this, and the variables are plain (`values.PlainTest`), both ways give the same result, and the
quick one is taken. What goes wrong there, and a list or map that was printed (`shows_container`), is rendered again
with the guard, which has the last word.
"""

from __future__ import annotations

import re
from typing import Final

from clarion.templates.language import weights_of
from clarion.templates.syntax import QUOTES, Piece, is_name, tags_of
from clarion.templates.values import CONTAINER_METHODS, SHOWN

MAX_WEIGHT: Final = 3
"""Variables that one output may put together. With MAX_PLAIN_BYTES of variables and the fuel for 7 000 outputs, an
unguarded rendering prints 160 MB at the very worst."""

_MAP_SHOWN: Final = re.compile(r"""\{(?:['"}]|&#x27;|&quot;)""")
_LIST_SHOWN: Final = re.compile(r"""\[(?:['"\]\[{0-9TF-]|&#x27;|&quot;)""")
"""How Python writes a dict and a list, escaped for HTML or not."""

_AFTER_BRACE: Final = frozenset("'\"}&")
_FEW: Final = 4

_BY_ATTRIBUTE: Final = frozenset({"groupby", "selectattr", "rejectattr"})
_BINDERS: Final = frozenset({"set", "filter"})
"""Statements that reach beyond their part, when parts are joined, or print into a value."""

_TO_TEXT: Final = "string"
"""The filter that, as `~` does, makes text of a list or map, which may then be walked over and never be seen."""

_NULLS: Final = frozenset({"none", "None"})


def may_go_unguarded(pieces: list[Piece]) -> bool:
    """Whether a source does nothing that needs the guard, as long as its values are short enough."""
    if any(shows_container(piece.text) for piece in pieces):
        return False
    tags = tags_of(pieces)
    if any(tag.kind == "output" and weight > MAX_WEIGHT for tag, weight in weights_of(tags)):
        return False
    return not any(tag.word in _BINDERS or _needs_guard(tag.tokens) for tag in tags)


def shows_container(text: str) -> bool:
    """Whether a list or map was printed into `text`, or something that looks like one."""
    if SHOWN in text or ("[" in text and _LIST_SHOWN.search(text)):
        return True
    position = text.find("{")
    # Most mails have a few braces in their style sheet. For these, `find` is much faster than the expression.
    for _ in range(_FEW):
        if position < 0:
            return False
        if text[position + 1 : position + 2] in _AFTER_BRACE:
            break
        position = text.find("{", position + 1)
    return position >= 0 and _MAP_SHOWN.search(text, position) is not None


def _needs_guard(tokens: tuple[str, ...]) -> bool:
    padded = ("", *tokens, "", "", "")
    return any(_is_doubtful(padded, i) for i in range(1, len(tokens) + 1))


def _is_doubtful(tokens: tuple[str, ...], i: int) -> bool:
    """Whether a token may stand for null, for a container's method, or for an attribute that a variable names."""
    before, here, after = tokens[i - 1 : i + 2]
    if here == "~" or (before == "|" and here == _TO_TEXT):
        return True
    if here in _NULLS or (before == "." and here in CONTAINER_METHODS):
        return True
    if here[0] in QUOTES:
        return "\\" in here or not CONTAINER_METHODS.isdisjoint(here[1:-1].split("."))
    if here == "attribute" and after == "=":
        return not _is_literal(tokens, i + 2)
    if here == "[" and (is_name(before) or before in {")", "]"}):
        return not _is_literal(tokens, i + 1)
    return here in _BY_ATTRIBUTE and after == "(" and not _is_literal(tokens, i + 2)


def _is_literal(tokens: tuple[str, ...], i: int) -> bool:
    """Whether the expression that begins here is one string or number."""
    return (tokens[i][:1] in {"'", '"'} or tokens[i].isdigit()) and tokens[i + 1] in {")", "]", ",", ":"}
