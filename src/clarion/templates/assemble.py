"""Putting partials into a source: `include`, `extends` and `block` are done when a template is saved.

So a stored version never changes, the engine has no loader that could be led astray, and every bound of the language
(growth, fuel, escaping) is computed on what is rendered: one flat source. Rendering costs nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.kernel.errors import Invalid
from clarion.templates.model import MAX_SOURCE_BYTES, PartialContent, PartialParts, Partials
from clarion.templates.syntax import QUOTES, Piece, Tag, is_name, read_source

SourceKind: TypeAlias = Literal["html", "mjml", "text"]

MAX_DEPTH: Final = 8
"""Partials inside partials."""

MAX_BLOCK_DEPTH: Final = 16
"""Blocks inside blocks, what they override included."""

MAX_PUT_IN: Final = 200
"""Partials and blocks that are put into one source: partials that take others twice each would double at every step."""

_WORDS: Final = frozenset({"include", "extends", "block", "endblock"})
_SUPER: Final = ("super", "(", ")")
_MAY_ASSEMBLE: Final = re.compile(r"\{[%{][-+]?\s*(?:include|extends|block|endblock|super)\b")
_SETS: Final = re.compile(r"\{%[-+]?\s*set\b")
_NAMES_TOKENS: Final = 2

Blocks: TypeAlias = dict[str, list["_Block"]]
"""What each block says, the most derived first: the rest is what `super()` gives."""


class Assembled(msgspec.Struct, frozen=True):
    """A source with its partials put in, which ones they are, and where its lines come from."""

    source: str
    partials: frozenset[str] = frozenset()
    origins: tuple[tuple[int, str, int], ...] = ()

    def origin_of(self, line: int) -> tuple[str, int]:
        """Where a line of the assembled source comes from: a partial's name ("": the template) and the line there."""
        name, origin = "", line
        for start, candidate, first in self.origins:
            if start > line:
                break
            name, origin = candidate, first + line - start
        return name, origin

    def place_of(self, line: int) -> str:
        """How a line of the assembled source is called: `line 3` of the template, or `line 3 of partial footer`."""
        name, origin = self.origin_of(line)
        return f"line {origin} of partial `{name}`" if name else f"line {origin}"


def needs_assembly(source: str) -> bool:
    """Whether a source asks for partials, or has blocks."""
    return _MAY_ASSEMBLE.search(source) is not None


def missing_partials(sources: Sequence[str], partials: Partials) -> set[str]:
    """The names of partials that the sources ask for, and those that these ask for, that are not in `partials`.

    Fetch them and ask again, until there are none; names that do not exist stay missing, and `assemble` refuses them.
    Raises Invalid for a tag over the limit.
    """
    missing: set[str] = set()
    seen: set[str] = set()
    left = list(sources)
    while left:
        for name in _asked_for(left.pop()) - seen:
            seen.add(name)
            if name not in partials:
                missing.add(name)
                continue
            left += sources_of(partials[name].content)
    return missing


def sources_of(content: PartialContent) -> list[str]:
    """All sources of a partial."""
    said: list[PartialContent | PartialParts] = [content, *content.locales.values()]
    return [source for each in said for source in (each.html, each.mjml, each.text) if source]


def assemble(source: str, kind: SourceKind, partials: Partials, languages: Sequence[str]) -> Assembled:
    """The source with its partials put in, as `kind` and in the first of the languages that each has.

    Raises Invalid (without a path) that says what is wrong, in which line, and how to mend it.
    """
    if not needs_assembly(source):
        return Assembled(source)
    assembler = _Assembler(kind, partials, languages)
    assembler.put(_Block("", source, 1), {}, ())
    return Assembled("".join(assembler.pieces), frozenset(assembler.used), tuple(assembler.origins))


def text_in(content: PartialContent, kind: SourceKind, languages: Sequence[str]) -> str:
    """What a partial says as `kind` in the first of the languages that has it; in its own, if none has."""
    for language in languages:
        parts = content.locales.get(language)
        if parts is not None and (said := _of_kind(parts, kind)):
            return said
    return _of_kind(content, kind)


def _of_kind(parts: PartialContent | PartialParts, kind: SourceKind) -> str:
    return {"html": parts.html, "mjml": parts.mjml, "text": parts.text}[kind]


def _asked_for(source: str) -> set[str]:
    if not needs_assembly(source):
        return set()
    tags = [piece.tag for piece in read_source(source, "") if piece.tag is not None]
    return {
        tag.tokens[1][1:-1]
        for tag in tags
        if tag.word in {"include", "extends"}
        and len(tag.tokens) == _NAMES_TOKENS
        and tag.tokens[1][0] in QUOTES
    }


class _Block(msgspec.Struct, frozen=True):
    """A stretch of a partial's source ("": the template's own), which begins at its line `line`."""

    partial: str
    source: str
    line: int


class _Place(msgspec.Struct, frozen=True):
    """Where a tag stands: in which stretch, under which overriding blocks, inside which partials."""

    stretch: _Block
    blocks: Blocks
    stack: tuple[str, ...]
    rest: Sequence[_Block]


class _Assembler:
    """Writes one assembled source, piece by piece."""

    def __init__(self, kind: SourceKind, partials: Partials, languages: Sequence[str]) -> None:
        self.pieces: list[str] = []
        self.used: set[str] = set()
        self.origins: list[tuple[int, str, int]] = []
        self._kind: SourceKind = kind
        self._partials = partials
        self._languages = languages
        self._line = 1
        self._bytes = 0
        self._put_in = 0
        self._block_depth = 0
        self._open: list[tuple[tuple[str, ...], str]] = []

    def put(self, stretch: _Block, blocks: Blocks, stack: tuple[str, ...]) -> None:
        """Write a whole source: as it stands, or the layout that it extends. `stack`: the partials around it."""
        pieces = read_source(stretch.source, "")
        parent = _parent_of(pieces)
        if parent is None:
            self._write(stretch, blocks, stack, ())
            return
        for name, block in _blocks_of(pieces, stretch).items():
            blocks.setdefault(name, []).append(block)
        layout, inner = self._load(parent, stretch, stack)
        known = self._known_blocks(layout, inner)
        for name in blocks:
            if name not in known:
                there = f"; it has: {', '.join(sorted(known))}" if known else ""
                detail = f"layout `{inner[-1]}` has no block `{name}`{there}"
                raise _refuse(parent, stretch, detail)
        self.put(layout, blocks, inner)

    def _known_blocks(self, layout: _Block, stack: tuple[str, ...]) -> set[str]:
        """The blocks of a layout and of those that it extends itself."""
        pieces = read_source(layout.source, "")
        known = {
            piece.tag.tokens[1] for piece in pieces if _opens_block(piece, layout) and piece.tag is not None
        }
        parent = _parent_of(pieces)
        if parent is None:
            return known
        return known | self._known_blocks(*self._load(parent, layout, stack))

    def _write(self, stretch: _Block, blocks: Blocks, stack: tuple[str, ...], rest: Sequence[_Block]) -> None:
        """Write a stretch of a source. `rest`: what `super()` gives, nearest first."""
        pieces = read_source(stretch.source, "")
        position = i = 0
        while i < len(pieces):
            piece, closing = pieces[i], i
            i += 1
            if piece.tag is None or not _is_ours(piece.tag):
                continue
            if piece.tag.word == "block":
                closing = _end_of_block(pieces, i - 1, stretch)
                i = closing + 1
            self._emit(stretch, position, piece.start)
            position = pieces[closing].end
            if stretch.source.startswith("-", piece.start + 2):
                self._add("{#- #}")
            self._put_in_place_of(piece, pieces[closing], _Place(stretch, blocks, stack, rest))
            if stretch.source.startswith("-", position - 3):
                self._add("{# -#}")
        self._emit(stretch, position, len(stretch.source))

    def _put_in_place_of(self, opening: Piece, closing: Piece, place: _Place) -> None:
        """Write what a tag of ours stands for."""
        tag, stretch = opening.tag, place.stretch
        if tag is None:
            return
        if tag.word == "include":
            self._include(tag, stretch, place.stack)
        elif tag.word == "block":
            name = (place.stack, tag.tokens[1])
            if name in self._open:
                raise _refuse(tag, stretch, f"block `{tag.tokens[1]}` stands inside itself")
            self._open.append(name)
            own = _inside(stretch, opening, closing)
            self._say([*place.blocks.get(tag.tokens[1], ()), own], place.blocks, place.stack)
            self._open.pop()
        elif tag.kind == "output" and place.rest:
            self._say(place.rest, place.blocks, place.stack)
        else:
            raise _refuse(tag, stretch, _STRAY[tag.word])

    def _say(self, said: Sequence[_Block], blocks: Blocks, stack: tuple[str, ...]) -> None:
        """Write the first of what a block says; the rest is for its `super()`."""
        self._count()
        self._block_depth += 1
        if self._block_depth > MAX_BLOCK_DEPTH:
            detail = f"line {said[0].line}: blocks stand in one another more than {MAX_BLOCK_DEPTH} deep"
            raise Invalid(detail)
        self._write(said[0], blocks, stack, said[1:])
        self._block_depth -= 1

    def _include(self, tag: Tag, stretch: _Block, stack: tuple[str, ...]) -> None:
        partial, inner = self._load(tag, stretch, stack)
        # What a partial sets, stays inside it.
        sets = _SETS.search(partial.source) is not None
        self._add("{% with %}" if sets else "")
        self.put(partial, {}, inner)
        self._add("{% endwith %}" if sets else "")

    def _load(self, tag: Tag, stretch: _Block, stack: tuple[str, ...]) -> tuple[_Block, tuple[str, ...]]:
        self._count()
        name = _named(tag, stretch)
        if name in stack:
            circle = " → ".join([*stack[stack.index(name) :], name])
            raise _refuse(tag, stretch, f"partials take each other in a circle: {circle}")
        if len(stack) == MAX_DEPTH:
            raise _refuse(tag, stretch, f"partials stand in one another more than {MAX_DEPTH} deep")
        version = self._partials.get(name)
        if version is None:
            raise _refuse(tag, stretch, f"there is no partial `{name}`; save it first")
        said = text_in(version.content, self._kind, self._languages)
        if not said and self._kind == "mjml":
            said = text_in(version.content, "html", self._languages)
        if not said:
            raise _refuse(tag, stretch, f"partial `{name}` says nothing as `{self._kind}`; give it that, too")
        self.used.add(name)
        return _Block(name, said.removesuffix("\n").removesuffix("\r"), 1), (*stack, name)

    def _count(self) -> None:
        self._put_in += 1
        if self._put_in > MAX_PUT_IN:
            detail = f"more than {MAX_PUT_IN} partials and blocks are put into it"
            raise Invalid(detail)

    def _emit(self, stretch: _Block, start: int, end: int) -> None:
        text = stretch.source[start:end]
        line = stretch.line + stretch.source.count("\n", 0, start)
        first, line_end, _ = text.partition("\n")
        if first.strip():
            self.origins.append((self._line, stretch.partial, line))
        elif line_end:
            # What stands before it in its line has more to say about that.
            self.origins.append((self._line + 1, stretch.partial, line + 1))
        self._add(text)

    def _add(self, text: str) -> None:
        self._bytes += len(text.encode(errors="replace"))
        if self._bytes > MAX_SOURCE_BYTES:
            detail = f"with its partials it has more than {MAX_SOURCE_BYTES} bytes"
            raise Invalid(detail)
        self.pieces.append(text)
        self._line += text.count("\n")


_STRAY: Final = {
    "extends": "`extends` can only stand at the beginning, once",
    "endblock": "`endblock` closes no block",
    "": "`super()` can only stand in a block of a template that extends a layout",
}


def _is_ours(tag: Tag) -> bool:
    return tag.word in _WORDS or (tag.kind == "output" and tag.tokens == _SUPER)


def _refuse(tag: Tag, stretch: _Block, detail: str) -> Invalid:
    line = stretch.line + tag.line - 1
    where = f"line {line} of partial `{stretch.partial}`" if stretch.partial else f"line {line}"
    return Invalid(f"{where}: {detail}")


def _named(tag: Tag, stretch: _Block) -> str:
    """The partial that a tag asks for."""
    if len(tag.tokens) != _NAMES_TOKENS or tag.tokens[1][0] not in QUOTES or "\\" in tag.tokens[1]:
        raise _refuse(tag, stretch, f'`{tag.word}` takes one name in quotes: {{% {tag.word} "footer" %}}')
    return tag.tokens[1][1:-1]


def _parent_of(pieces: list[Piece]) -> Tag | None:
    """The `extends` that a source begins with."""
    for piece in pieces:
        if piece.tag is None and not piece.text.strip():
            continue
        return piece.tag if piece.tag is not None and piece.tag.word == "extends" else None
    return None


def _opens_block(piece: Piece, stretch: _Block) -> bool:
    tag = piece.tag
    if tag is None or tag.word != "block":
        return False
    if len(tag.tokens) != _NAMES_TOKENS or not is_name(tag.tokens[1]):
        raise _refuse(tag, stretch, "`block` takes one name: {% block content %}")
    return True


def _end_of_block(pieces: list[Piece], opening: int, stretch: _Block) -> int:
    """The index of the `endblock` that belongs to a `block`."""
    depth = 0
    for i in range(opening, len(pieces)):
        tag = pieces[i].tag
        if _opens_block(pieces[i], stretch):
            depth += 1
        elif tag is not None and tag.word == "endblock":
            depth -= 1
            if depth == 0:
                return i
    tag = pieces[opening].tag
    name = tag.tokens[1] if tag is not None else ""
    detail = f"block `{name}` has no `endblock`"
    raise Invalid(detail) if tag is None else _refuse(tag, stretch, detail)


def _inside(stretch: _Block, opening: Piece, closing: Piece) -> _Block:
    source = stretch.source
    start, end = opening.end, closing.start
    text = source[start:end]
    if source.startswith("-", opening.end - 3):
        text = "{# -#}" + text
    if source.startswith("-", closing.start + 2):
        text += "{#- #}"
    return _Block(stretch.partial, text, stretch.line + source.count("\n", 0, start))


def _blocks_of(pieces: list[Piece], stretch: _Block) -> dict[str, _Block]:
    """The blocks of a source that extends a layout. Nothing else may stand in it: it would never be shown."""
    blocks: dict[str, _Block] = {}
    i = 0
    begun = False
    while i < len(pieces):
        piece = pieces[i]
        if _opens_block(piece, stretch) and piece.tag is not None:
            closing = _end_of_block(pieces, i, stretch)
            name = piece.tag.tokens[1]
            if name in blocks:
                raise _refuse(piece.tag, stretch, f"there are two blocks `{name}`")
            blocks[name] = _inside(stretch, piece, pieces[closing])
            i = closing + 1
            continue
        if piece.tag is not None:
            if begun:
                raise _refuse(piece.tag, stretch, _OUTSIDE)
            begun = True
        elif piece.text.strip():
            above = piece.text[: len(piece.text) - len(piece.text.lstrip())].count("\n")
            raise _refuse(Tag("output", piece.line + above, ()), stretch, _OUTSIDE)
        i += 1
    return blocks


_OUTSIDE: Final = "a source that extends a layout says all in its blocks; this would never be shown"
