"""A source for libraries that know markup, but not templates: its tags become words that nothing else contains."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from clarion.kernel.errors import Invalid
from clarion.templates.syntax import Piece, read_source

_LINE_END: Final = re.compile(r"\n")


class Words:
    """A source with words in place of its tags: `text`. Raises Invalid (without a path) for a tag over the limit."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._prefix = "tmpl"
        while self._prefix in source:
            self._prefix += "q"
        self.tags = [piece for piece in read_source(source, "") if piece.tag is not None]
        self.pattern = re.compile(rf"{self._prefix}(\d+)x")
        self._hidden = re.compile(rf"<!--{self._prefix}(\d+)y-->")
        kept: list[str] = []
        position = 0
        for number, piece in enumerate(self.tags):
            kept += [source[position : piece.start], f"{self._prefix}{number}x"]
            position = piece.end
        self.text = "".join([*kept, source[position:]])
        self._line_ends = list(self._find_line_ends(kept))

    def _find_line_ends(self, stretches: list[str]) -> Iterator[int]:
        """Where lines end in `text`; those inside a tag end with its word."""
        position = 0
        for number, piece in enumerate(self.tags):
            before, word = stretches[2 * number : 2 * number + 2]
            yield from (position + match.start() for match in _LINE_END.finditer(before))
            position += len(before) + len(word)
            yield from [position - 1] * self.source.count("\n", piece.start, piece.end)
        for match in _LINE_END.finditer(self.text, position):
            yield match.start()

    def hide(self, number: int) -> str:
        """A comment in place of a tag's word, for where text would not stay."""
        return f"<!--{self._prefix}{number}y-->"

    def reveal(self, text: str) -> str:
        """A text with words in place of what `hide` gave."""
        return self._hidden.sub(rf"{self._prefix}\1x", text)

    def restore(self, text: str) -> str:
        """A text with the tags in place of the words."""

        def tag(match: re.Match[str]) -> str:
            piece = self.tags[int(match[1])]
            return self.source[piece.start : piece.end]

        return self.pattern.sub(tag, text)

    def line_at(self, position: int) -> int:
        """The line of the source where a position of `text`, as it was made, is."""
        return bisect_right(self._line_ends, position - 1) + 1

    def refuse(self, position: int, detail: str) -> Invalid:
        """What is wrong at a position of `text`."""
        return Invalid(f"line {self.line_at(position)}: {detail}")


def is_statement(piece: Piece) -> bool:
    """Whether a piece is a statement (`{% … %}`)."""
    return piece.tag is not None and piece.tag.kind == "statement"
