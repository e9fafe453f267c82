"""Journeys as files: one definition each, YAML or JSON, in a folder or by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from clarion.journeys.compile import Compiled, compile_journey
from clarion.journeys.findings import Finding

ENDINGS: Final = (".yaml", ".yml", ".json")
TEST_ENDINGS: Final = (".test.yaml", ".test.yml", ".test.json")
"""Files beside a journey that say what its rehearsal is to give."""

MAX_BYTES: Final = 1 << 20


class JourneyFile(msgspec.Struct, frozen=True):
    """A file, what it holds as JSON, and what the compiler says of it."""

    path: Path
    definition: Any
    compiled: Compiled

    @property
    def name(self) -> str:
        """The journey's name, "" where it has errors."""
        return "" if self.compiled.graph is None else self.compiled.graph.name

    def lines(self, *, notes: bool = True) -> list[str]:
        """Its findings, a line each: file, place, level, and what to do."""
        findings = [one for one in self.compiled.findings if notes or one.level != "note"]
        return [f"{self.path}: {one.path or 'journey'}: {one.level}: {one.message}" for one in findings]


def read_journeys(places: Sequence[Path]) -> list[JourneyFile]:
    """The journeys of files and of folders, those below them too, in the order of their names.

    A file that cannot be read or is no YAML or JSON is there with an error as its finding. Two files of one journey
    both have one.
    """
    paths = [path for place in places for path in (_below(place) if place.is_dir() else [place])]
    files = [_read(path) for path in dict.fromkeys(paths)]
    named = [file.name for file in files]
    return [
        _with_error(file, f"another file has a journey {file.name!r} too: rename one")
        if file.name and named.count(file.name) > 1
        else file
        for file in files
    ]


def _below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.endswith(ENDINGS) and not path.name.endswith(TEST_ENDINGS) and path.is_file()
    )


def _read(path: Path) -> JourneyFile:
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            return _refuse(path, "it is larger than 1 MB: split it into several journeys")
        definition = json.loads(content) if path.suffix == ".json" else yaml.safe_load(content)
    except OSError as error:
        return _refuse(path, f"it cannot be read: {error.strerror or error}")
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        return _refuse(
            path, f"it is no {'JSON' if path.suffix == '.json' else 'YAML'}: {_on_one_line(error)}"
        )
    return JourneyFile(path, definition, compile_journey(definition))


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "it is nested too deep"


def _refuse(path: Path, message: str) -> JourneyFile:
    return JourneyFile(path, None, Compiled(None, (Finding("error", "", "", message),)))


def _with_error(file: JourneyFile, message: str) -> JourneyFile:
    findings = (Finding("error", "name", "", message), *file.compiled.findings)
    return JourneyFile(file.path, file.definition, Compiled(None, findings))
