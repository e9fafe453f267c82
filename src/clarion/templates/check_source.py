"""What one source may hold, whatever template or partial it stands in."""

from __future__ import annotations

import re
from typing import Final

from clarion.kernel.errors import Invalid
from clarion.templates.assemble import Assembled
from clarion.templates.language import check_language
from clarion.templates.markup import check_markup, has_script_link
from clarion.templates.model import MAX_SOURCE_BYTES
from clarion.templates.syntax import read_source, tags_of
from clarion.templates.values import clean

_LINE: Final = re.compile(r"\Aline (\d+)(?=:)")


def check_bytes(source: str, path: str, most: int = MAX_SOURCE_BYTES) -> None:
    """Raises Invalid at `path` for a source that is too long, or has characters that no message can have."""
    size = len(source.encode(errors="replace"))
    if size > most:
        raise Invalid(f"it has {size} bytes; the most is {most}", path)
    plain = source.replace("\r\n", "\n")
    if clean(plain) != plain:
        raise Invalid("it holds control characters or halves of characters; remove them", path)


def check_source(source: str, path: str, *, is_html: bool, most: int = MAX_SOURCE_BYTES) -> None:
    """Raises Invalid at `path` for the first thing that a source must not hold, with its line and the remedy."""
    check_bytes(source, path, most)
    pieces = read_source(source, path)
    check_language(tags_of(pieces), path)
    if is_html:
        check_markup(pieces, path)
        if has_script_link(source):
            raise Invalid("a link begins with `javascript:` or the like; link to https://…", path)


def located(error: Invalid, path: str, assembled: Assembled | None = None) -> Invalid:
    """The same refusal at `path`, with its line as the author counts it."""

    def place(match: re.Match[str]) -> str:
        line = int(match[1])
        return assembled.place_of(line) if assembled is not None else match[0]

    return Invalid(_LINE.sub(place, error.detail), path)
