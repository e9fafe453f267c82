"""A folder of templates on disk: read whole, written file by file, never outside of itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from clarion.entrypoints.cli.template_files import (
    BODIES,
    HEAD,
    LOCALE_HEAD,
    PARTIAL_BODIES,
    SCHEMA,
    Files,
    line_of_key,
    says_the_same,
)
from clarion.kernel.errors import Invalid

TEMPLATES: Final = "templates"
PARTIALS: Final = "partials"
MAX_FILE_BYTES: Final = 1 << 20

OURS: Final = frozenset({HEAD, LOCALE_HEAD, SCHEMA, *BODIES, *PARTIAL_BODIES})
"""Names of files that are written, and removed where a template has no such part (any more)."""

_LINE: Final = re.compile(r"line (\d+): ")
_LOCALE: Final = re.compile(r"locales\.([^.]+)\.(.*)")


class Tree(msgspec.Struct, frozen=True):
    """What a folder holds: files by the names of templates and partials."""

    templates: dict[str, Files]
    partials: dict[str, Files]

    def files_of(self, place: str) -> Files:
        """The files in one folder of it (`templates/order`)."""
        kind, _, folder = place.partition("/")
        found = self.templates if kind == TEMPLATES else self.partials
        return found.get(unquote(folder), {})

    def places(self) -> list[str]:
        """The folders in it."""
        return [
            *(place_of(PARTIALS, name) for name in self.partials),
            *(place_of(TEMPLATES, name) for name in self.templates),
        ]


def place_of(kind: str, name: str) -> str:
    """The folder of a template or partial of this name: two steps, which lead nowhere else."""
    quoted = quote(name, safe="")
    return f"{kind}/%2E{quoted[1:]}" if quoted.startswith(".") else f"{kind}/{quoted}"


def read_tree(root: Path) -> Tree:
    """All templates and partials of a folder. Raises Invalid where there is none, or a file cannot be read."""
    if not root.is_dir():
        raise Invalid(f"{root}: there is no such folder")
    try:
        return Tree(_read_kind(root / TEMPLATES), _read_kind(root / PARTIALS))
    except OSError as error:
        raise Invalid(f"{error.filename}: {error.strerror}") from error


def _read_kind(kind: Path) -> dict[str, Files]:
    if not kind.is_dir():
        return {}
    folders = (path for path in sorted(kind.iterdir()) if path.is_dir() and not path.name.startswith("."))
    return {unquote(folder.name): _read_files(folder) for folder in folders}


def _read_files(folder: Path) -> Files:
    files: Files = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inner.parts):
            continue
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Invalid(f"{path}: it has more than {MAX_FILE_BYTES >> 20} MB")
        files[inner.as_posix()] = path.read_bytes()
    return files


def write_files(folder: Path, wanted: Mapping[str, bytes]) -> list[str]:
    """Make a template's folder say what `wanted` does; the paths that were written or removed, in order.

    A file that says the same already keeps its bytes: comments and layout are the author's. Files of other names stay.
    """
    there = _read_files(folder) if folder.is_dir() else {}
    changed: list[str] = []
    for name, raw in wanted.items():
        if name in there and says_the_same(name, there[name], raw):
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(raw)
        fresh.replace(path)
        changed.append(name)
    for name in there.keys() - wanted.keys():
        if name.rpartition("/")[2] in OURS:
            (folder / name).unlink()
            changed.append(name)
            _remove_empty(folder, (folder / name).parent)
    return sorted(changed)


def _remove_empty(folder: Path, inner: Path) -> None:
    while inner != folder and not os.listdir(inner):  # noqa: PTH208  a folder's emptiness needs no paths
        inner.rmdir()
        inner = inner.parent


def locate(where: str, files: Mapping[str, bytes], path: str, detail: str) -> str:
    """What is wrong, by file and line. `path` is that of the API's body: `locales.de.email.html`, `category`.

    `where`: the folder that `files` stand in.
    """
    found = _LOCALE.match(path)
    prefix = f"locales/{found[1]}/" if found else ""
    inner = found[2] if found else path.removeprefix("channels.")
    file = prefix + _file_of(inner, HEAD if not prefix else LOCALE_HEAD)
    line = _LINE.match(detail)
    if file.endswith(".toml"):
        text = files.get(file, b"").decode(errors="replace")
        return f"{where}/{file}:{line_of_key(text, inner.rpartition('.')[2])}: {path}: {detail}"
    if file == SCHEMA:
        return f"{where}/{file}: {path.removeprefix('data_schema').lstrip('.')}: {detail}"
    if line is not None:
        return f"{where}/{file}:{line[1]}: {detail[line.end() :]}"
    return f"{where}/{file}: {detail}"


def _file_of(path: str, head: str) -> str:
    if path.startswith("data_schema"):
        return SCHEMA
    for name, (channel, field) in BODIES.items():
        if path == f"{channel}.{field}":
            return name
    return next((name for name, field in PARTIAL_BODIES.items() if path == field), head)
