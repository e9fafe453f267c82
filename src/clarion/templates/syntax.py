"""Reading a template's source without the engine: its tags, their tokens, and the text between them.

The engine compiles a source only after this has seen it: some sources kill the process that compiles them. The rules of
the syntax (delimiters, strings, balanced brackets inside a tag, raw blocks) are those of the engine's own lexer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.kernel.errors import Invalid
from clarion.templates.model import MAX_TAG_CHARS

TagKind: TypeAlias = Literal["statement", "output"]

QUOTES: Final = "\"'"
"""What a string token begins with."""

KEYWORDS: Final = frozenset({"and", "elif", "else", "for", "if", "in", "is", "not", "or", "set", "with"})
"""Names that the language keeps for itself."""

_BEFORE_NO_VARIABLE: Final = frozenset({".", "|", "is"})

_OPENING: Final = re.compile(r"\{\{|\{%|\{#")
_END_OF_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_TOKEN: Final = re.compile(
    r"""
      \s+
    | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*"
    | [^\W\d]\w*
    | \d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?
    | \*\* | // | == | != | <= | >=
    | .
    """,
    re.VERBOSE | re.DOTALL,
)

_DEPTH: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


class Tag(msgspec.Struct, frozen=True):
    """`{% … %}` (a statement) or `{{ … }}` (an output). `tokens` has no spaces; strings keep their quotes."""

    kind: TagKind
    line: int
    tokens: tuple[str, ...]

    @property
    def word(self) -> str:
        """The statement's name (`if`, `endfor`, …); "" for outputs and empty tags."""
        return self.tokens[0] if self.kind == "statement" and self.tokens else ""


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a source: text as it will be sent, or a tag (then `text` is ""). Comments leave no piece.

    It stands at `source[start:end]`.
    """

    text: str
    line: int
    tag: Tag | None = None
    start: int = 0
    end: int = 0


def read_source(source: str, path: str) -> list[Piece]:
    """The pieces of a source, in order. Raises Invalid at `path` for a tag over the limit.

    A tag without an end yields what could be read: the engine says what is wrong with it.
    """
    return list(_pieces(source, path))


def tags_of(pieces: list[Piece]) -> list[Tag]:
    """The tags among the pieces, in order."""
    return [piece.tag for piece in pieces if piece.tag is not None]


def is_name(token: str) -> bool:
    """Whether a token is a name (a keyword, too), not a string, number or sign."""
    return token.isidentifier()


def free_names(tags: list[Tag]) -> frozenset[str]:
    """Every name that may stand for a variable. Some are none (a loop's, functions), but none is missing."""
    names: set[str] = set()
    for tag in tags:
        tokens = tag.tokens[1:] if tag.kind == "statement" else tag.tokens
        names.update(
            token
            for before, token in pairwise(("", *tokens))
            if before not in _BEFORE_NO_VARIABLE and is_name(token) and token not in KEYWORDS
        )
    return frozenset(names)


def longest_repeated_text(pieces: list[Piece]) -> int:
    """Characters of the longest text that stands inside a loop; 0 where there is no loop."""
    depth = longest = 0
    for piece in pieces:
        if piece.tag is None:
            longest = max(longest, len(piece.text)) if depth else longest
        elif piece.tag.word == "for":
            depth += 1
        elif piece.tag.word == "endfor":
            depth -= 1
    return longest


def _pieces(source: str, path: str) -> Iterator[Piece]:
    position, line = 0, 1
    while opening := _OPENING.search(source, position):
        start = opening.start()
        if start > position:
            yield Piece(source[position:start], line, None, position, start)
        line += source.count("\n", position, start)
        if opening.group() == "{#":
            end = source.find("#}", start)
            end = len(source) if end < 0 else end + 2
        else:
            tag, end = _read_tag(source, start, line, path)
            yield Piece("", line, tag, start, end)
            if tag.word == "raw":
                after = line + source.count("\n", start, end)
                closing = _END_OF_RAW.search(source, end)
                stop = closing.start() if closing else len(source)
                yield Piece(source[end:stop], after, None, end, stop)
                end = closing.end() if closing else len(source)
        line += source.count("\n", start, end)
        position = end
    if position < len(source):
        yield Piece(source[position:], line, None, position, len(source))


def _read_tag(source: str, start: int, line: int, path: str) -> tuple[Tag, int]:
    kind, closing = ("output", "}}") if source.startswith("{{", start) else ("statement", "%}")
    position = start + 2
    if source.startswith(("-", "+"), position):
        position += 1
    tokens: list[str] = []
    depth = 0
    while match := _TOKEN.match(source, position):
        end = _closing_end(source, position, closing) if depth == 0 else 0
        if (end or position) - start > MAX_TAG_CHARS:
            detail = f"line {line}: a tag has more than {MAX_TAG_CHARS} characters; split it with {{% set %}}"
            raise Invalid(detail, path)
        if end:
            return Tag(kind, line, tuple(tokens)), end
        token = match.group()
        depth = max(0, depth + _DEPTH.get(token, 0))
        if not token.isspace():
            tokens.append(token)
        position = match.end()
    return Tag(kind, line, tuple(tokens)), position


def _closing_end(source: str, position: int, closing: str) -> int:
    """Where a tag that closes at `position` ends; 0 if it does not close here."""
    if source.startswith(closing, position):
        return position + 2
    if source.startswith(("-", "+"), position) and source.startswith(closing, position + 1):
        return position + 3
    return 0
