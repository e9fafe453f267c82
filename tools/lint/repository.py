"""Where the rules are applied: the files of the repository, and which rules each of them has to keep."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.lint import addresses, pure_core, size, sleeps, sql_text, waivers
from tools.lint.model import Finding, TextFile, parse

WAIVERS: Final = "tools/lint/waivers.txt"
CODE: Final = ("src/", "bench/", "tools/", "tests/")

_NOT_OURS: Final = frozenset(
    {
        ".git",
        ".venv",
        ".clarion",
        ".hypothesis",
        ".import_linter_cache",
        ".oracles",
        ".pytest_cache",
        ".ruff_cache",
    }
    | {"__pycache__", "dist", "node_modules", "site"}
)
"""Folders that git ignores (or keeps for itself), wherever they are."""


def check_repository(root: Path) -> list[Finding]:
    """Every finding below `root`, sorted, after waivers. Raises ValueError on a malformed waiver list."""
    pure = pure_folders((root / "pyproject.toml").read_text())
    findings: list[Finding] = [
        Finding(lock, 1, "lock-address", "the lock file is missing")
        for lock in addresses.LOCKS
        if not (root / lock).is_file()
    ]
    for file in text_files(root):
        findings += check_file(file, pure)
    return sorted(waivers.apply(findings, waivers.read((root / WAIVERS).read_text()), WAIVERS))


def check_file(file: TextFile, pure: tuple[str, ...]) -> Iterator[Finding]:
    """What one file does against the rules that its place puts on it. `pure` are the folders of the pure core."""
    yield from addresses.check_paths(file)
    if file.path in addresses.LOCKS:
        yield from addresses.check_lock(file)
    if file.path.endswith(".py") and file.path.startswith(CODE):
        module = parse(file)
        yield from size.check(module)
        yield from pure_core.check(module, pure)
        yield from sql_text.check(module)
        yield from sleeps.check(module)


def pure_folders(pyproject: str) -> tuple[str, ...]:
    """Folders of the packages that do no I/O, as the import contract `pure-features` of a pyproject.toml names them.

    Raises LookupError where there is no such contract.
    """
    for contract in tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]:
        if contract["id"] == "pure-features":
            return tuple(f"src/{module.replace('.', '/')}/" for module in contract["source_modules"])
    msg = "pyproject.toml has no import contract `pure-features`"
    raise LookupError(msg)


def text_files(root: Path) -> Iterator[TextFile]:
    """Every file of ours below `root` that is UTF-8 text."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - _NOT_OURS)
        for name in sorted(names):
            path = Path(folder, name)
            try:
                text = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # a picture, or a file that its writer removed meanwhile
            yield TextFile(path.relative_to(root).as_posix(), text)
