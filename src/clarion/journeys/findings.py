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
        self._gathered = _Gathered({}, 0)
        self._step = ""

    def at(self, step: str) -> Report:
        """This report, in which what is said is about a step where nothing else is told."""
        report = Report()
        report._gathered, report._step = self._gathered, step
        return report

    def error(self, path: str, message: str, step: str = "") -> None:
        """Keep the definition from being published."""
        self._add("error", path, message, step)

    def warn(self, path: str, message: str, step: str = "") -> None:
        """Say what will happen."""
        self._add("warning", path, message, step)

    def note(self, path: str, message: str, step: str = "") -> None:
        """Say what is good to know."""
        self._add("note", path, message, step)

    @property
    def has_errors(self) -> bool:
        """Whether the definition cannot be published."""
        return self._gathered.has_errors

    def close(self) -> tuple[Finding, ...]:
        """All findings: errors first, then warnings, then notes, each in the order of the definition's reading."""
        ranks: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
        found = sorted(self._gathered.findings, key=lambda one: ranks[one.level])
        if self._gathered.left_out:
            level: Level = "error" if self.has_errors else "warning"
            message = f"there are {self._gathered.left_out} more findings: mend these first"
            found.append(Finding(level, "", "", message))
        return tuple(found)

    def _add(self, level: Level, path: str, message: str, step: str) -> None:
        gathered, finding = self._gathered, Finding(level, path, step or self._step, message)
        gathered.has_errors |= level == "error"
        if finding in gathered.findings:
            return
        if len(gathered.findings) < MAX_FINDINGS:
            gathered.findings[finding] = None
        else:
            gathered.left_out += 1


class _Gathered(msgspec.Struct):
    """What reports on the same definition share."""

    findings: dict[Finding, None]
    left_out: int
    has_errors: bool = False


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
