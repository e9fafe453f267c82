"""What is to be said of a definition: where, how grave, and how to mend it, in words that a marketer can read."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from clarion.kernel.errors import Invalid

Level: TypeAlias = Literal["error", "warning", "note"]

MAX_FINDINGS: Final = 100
"""Findings of one definition: beyond these it is to be mended first."""

_SHOWN: Final = 60


class Finding(msgspec.Struct, frozen=True):
    """One remark. An error keeps the definition from being published; a warning says what will happen; a note informs.

    `path`: JSON path of the place (`steps[3].conditions[0].if`), "" for the whole. `step`: the id of its step, or "".
    """

    level: Level
    path: str
    step: str
    message: str


class Faulty(Invalid):
    """A definition that cannot be published. `findings`: all that is to be said of it; errors stand first."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        first = findings[0]
        super().__init__(first.message, first.path)
        self.findings = findings


class Report:
    """Findings as they are gathered: each once, `MAX_FINDINGS` at most."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}
        self._left_out = 0
        self._has_errors = False

    def error(self, path: str, message: str, step: str = "") -> None:
        """Keep the definition from being published."""
        self._has_errors = True
        self._add(Finding("error", path, step, message))

    def warn(self, path: str, message: str, step: str = "") -> None:
        """Say what will happen, which may not be what was meant."""
        self._add(Finding("warning", path, step, message))

    def note(self, path: str, message: str, step: str = "") -> None:
        """Say what is good to know."""
        self._add(Finding("note", path, step, message))

    @property
    def has_errors(self) -> bool:
        """Whether the definition cannot be published."""
        return self._has_errors

    def close(self) -> tuple[Finding, ...]:
        """All findings: errors first, then warnings, then notes, each in the order of the definition's reading."""
        ranks: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
        found = sorted(self._findings, key=lambda one: ranks[one.level])
        if self._left_out:
            level: Level = "error" if self._has_errors else "warning"
            found.append(
                Finding(level, "", "", f"there are {self._left_out} more findings: mend these first")
            )
        return tuple(found)

    def _add(self, finding: Finding) -> None:
        if finding in self._findings:
            return
        if len(self._findings) < MAX_FINDINGS:
            self._findings[finding] = None
        else:
            self._left_out += 1


def show(value: object) -> str:
    """A value of the definition as a message may quote it: short, on one line."""
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else _json_like(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _json_like(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a very large number" if abs(value) >= 10**_SHOWN else str(value)
    words: dict[type, str] = {list: "a list", dict: "an object", type(None): "null"}
    return words.get(type(value), "something else")
