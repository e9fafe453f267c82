"""Files of rehearsals: scenarios and tests (YAML or JSON), events (NDJSON, CSV, YAML or JSON)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec
import yaml

from clarion.journeys.rehearsal.expect import TestWords
from clarion.journeys.rehearsal.words import EventWords, RehearsalWords, TenantWords
from clarion.kernel.errors import Invalid

T = TypeVar("T")

MAX_BYTES: Final = 64 << 20
_COLUMNS: Final = frozenset({"event", "user", "at", "properties"})
_SPELLINGS: Final = {
    "user_id": "user",
    "name": "event",
    "event_name": "event",
    "timestamp": "at",
    "time": "at",
}


class ScenarioFile(RehearsalWords, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rehearsal as a file has it, with the account's settings."""

    tenant: TenantWords = TenantWords()


def read_scenario(path: Path) -> ScenarioFile:
    """A scenario. Raises Invalid, which names the file and the place."""
    return _convert(path, _load(path), ScenarioFile)


def read_tests(path: Path) -> TestWords:
    """A test file. Raises Invalid, which names the file and the place."""
    return _convert(path, _load(path), TestWords)


def read_events(path: Path) -> list[EventWords]:
    """Events of users: a list, lines of JSON, or a table with the columns `event`, `user` and `at`.

    Further columns are properties. Raises Invalid, which names the file and the place.
    """
    match path.suffix:
        case ".csv":
            rows: Any = [_from_row(row) for row in csv.DictReader(io.StringIO(_text(path)))]
        case ".ndjson" | ".jsonl":
            rows = [
                _decode(path, number, line)
                for number, line in enumerate(_text(path).splitlines(), 1)
                if line.strip()
            ]
        case _:
            rows = _load(path)
            if isinstance(rows, dict):
                rows = cast("dict[str, Any]", rows).get("events", rows)
    if isinstance(rows, list):
        rows = [_renamed(row) for row in cast("list[Any]", rows)]
    return _convert(path, rows, list[EventWords])


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            detail = f"{path}: it is larger than {MAX_BYTES >> 20} MB"
            raise Invalid(detail)
        return path.read_text("utf-8-sig")
    except OSError as error:
        detail = f"{path}: it cannot be read: {error.strerror or error}"
        raise Invalid(detail) from None
    except UnicodeDecodeError:
        detail = f"{path}: it is not UTF-8"
        raise Invalid(detail) from None


def _load(path: Path) -> Any:  # noqa: ANN401  any JSON
    text = _text(path)
    parse: Callable[[str], Any] = msgspec.json.decode if path.suffix == ".json" else yaml.safe_load
    try:
        return _as_json(parse(text))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        detail = f"{path}: it is neither YAML nor JSON: {' '.join(str(error).split())[:200]}"
        raise Invalid(detail) from None


def _as_json(value: Any) -> Any:  # noqa: ANN401  any JSON
    """YAML reads dates where JSON has texts."""
    match value:
        case dict():
            return {name: _as_json(each) for name, each in cast("dict[Any, Any]", value).items()}
        case list():
            return [_as_json(each) for each in cast("list[Any]", value)]
        case date():
            return value.isoformat()
        case _:
            return value


def _convert(path: Path, value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        detail = f"{path}: {error}"
        raise Invalid(detail) from None


def _decode(path: Path, number: int, line: str) -> Any:  # noqa: ANN401  any JSON
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        detail = f"{path}, line {number}: {error}"
        raise Invalid(detail) from None


def _renamed(row: Any) -> Any:  # noqa: ANN401  any JSON
    if not isinstance(row, dict):
        return row
    named = cast("dict[str, Any]", row)
    return {
        _SPELLINGS[name] if name in _SPELLINGS and _SPELLINGS[name] not in named else name: value
        for name, value in named.items()
    }


def _from_row(row: dict[str, Any]) -> dict[str, Any]:
    """An event of a table: cells that are JSON are what they say, others are text; empty ones are not there."""
    cells = {name: value for name, value in _renamed(row).items() if name and value not in {"", None}}
    told = {name: value for name, value in cells.items() if name in _COLUMNS - {"properties"}}
    given = _cell(cells.get("properties", "{}"))
    others = {
        name.removeprefix("properties."): _cell(value)
        for name, value in cells.items()
        if name not in _COLUMNS
    }
    return {**told, "properties": {**(given if isinstance(given, dict) else {}), **others}}


def _cell(text: str) -> Any:  # noqa: ANN401  any JSON
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError):
        return text
