"""Text that every store can keep. PostgreSQL has no U+0000, and UTF-8 has no lone surrogates; JSON allows both."""

from __future__ import annotations

from typing import Final, cast

from clarion.kernel.errors import Invalid

MAX_DEPTH: Final = 32
"""Deepest nesting of lists and maps in a caller's JSON."""


MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1
"""The integers that encoders of ours can write; JSON does not tell them from other numbers, so it holds for all."""


def is_storable(text: str) -> bool:
    """Whether `text` has neither U+0000 nor a lone surrogate."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_storable(value: object, path: str, depth: int = MAX_DEPTH) -> None:
    """Pass over decoded JSON (or what msgspec made of it) whose every string and number can be stored.

    Raises Invalid with the JSON path of the first that cannot, or of what is nested deeper than `depth`. The path
    of a bad key is that of its map.
    """
    if isinstance(value, str):
        if not is_storable(value):
            detail = "holds U+0000 or half of a surrogate pair, which cannot be stored: remove it"
            raise Invalid(detail, path)
        return
    if isinstance(value, int | float):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            detail = f"is no number between {MIN_INTEGER} and {MAX_INTEGER}: write it as text"
            raise Invalid(detail, path)
        return
    if not isinstance(value, dict | list | tuple):
        return
    if depth == 0:
        detail = "is nested too deeply"
        raise Invalid(detail, path)
    if isinstance(value, dict):
        for key, item in cast("dict[object, object]", value).items():
            check_storable(key, path, 1)
            check_storable(item, f"{path}.{key}" if path else str(key), depth - 1)
        return
    for index, item in enumerate(cast("list[object]", value)):
        check_storable(item, f"{path}[{index}]", depth - 1)
