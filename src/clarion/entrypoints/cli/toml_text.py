"""Writing TOML, which the standard library can only read. As much of it as settings of text in tables take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(document: Mapping[str, Any]) -> str:
    """A document of texts and tables of them, as TOML; `tomllib` reads the same from it.

    Keys keep their order, but for tables, which come last.
    """
    return "\n".join(_lines(document, ())) + "\n" if document else ""


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    texts = {key: value for key, value in table.items() if isinstance(value, str)}
    tables = {key: cast("dict[str, Any]", value) for key, value in table.items() if isinstance(value, dict)}
    if path and (texts or not tables):
        yield from ["", f"[{'.'.join(map(_key, path))}]"]
    yield from (f"{_key(key)} = {_string(value)}" for key, value in texts.items())
    for key, value in tables.items():
        yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, which asks for one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
