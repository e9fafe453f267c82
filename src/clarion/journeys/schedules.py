"""Schedules of five fields (`minute hour day month weekday`), as cron has them: checked, and written out."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_NAMED: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 1",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EVERY: Final = {
    "day": "* * *",
    "daily": "* * *",
    "week": "* * 1",
    "weekly": "* * 1",
    "month": "1 * *",
    "monthly": "1 * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART: Final = re.compile(r"(\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,2}))?")
_FIELDS: Final = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_MOST_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Cron(msgspec.Struct, frozen=True):
    """A schedule. `text`: its five fields. `weekdays`: 0 Monday to 6.

    `either_day`: both a day and a weekday are given, and as cron has it, either will do.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool


def read_cron(text: str, minute_of_day: int = 0) -> Cron | str:
    """The schedule that a text says, or what is wrong with it.

    `minute_of_day`: when `daily`, `weekly` (Mondays) and `monthly` (on the first) take place.
    """
    text = " ".join(text.strip().lower().split())
    if text in _EVERY:
        text = f"{minute_of_day % 60} {minute_of_day // 60} {_EVERY[text]}"
    text = _NAMED.get(text, text)
    parts = text.split(" ")
    if len(parts) != len(_FIELDS):
        return f"it has {len(parts)} fields, where a schedule has five (minute hour day month weekday), as 0 9 * * 1"
    sets: list[frozenset[int]] = []
    for part, (name, low, high) in zip(parts, _FIELDS, strict=True):
        read = _read_field(part, name, low, high)
        if read is None:
            return (
                f"its {name} {part[:20]!r} is none: write *, a number from {low} to {high}, 1-5, */2 or 1,3"
            )
        sets.append(read)
    minutes, hours, days, months, weekdays = sets
    if not any(day <= _MOST_DAYS[month - 1] for day in days for month in months):
        return "there is no such day in these months"
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Cron(text, minutes, hours, days, months, frozenset((day - 1) % 7 for day in weekdays), either)


def _read_field(text: str, name: str, low: int, high: int) -> frozenset[int] | None:
    values: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            return None
        step = int(found[4]) if found[4] is not None else 1
        first = low if found[1] == "*" else _value(found[2], name)
        last = (
            high
            if found[1] == "*" or (found[3] is None and found[4] is not None)
            else first
            if found[3] is None
            else _value(found[3], name)
        )
        if first is None or last is None or not step or not low <= first <= last <= high:
            return None
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _value(text: str, name: str) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    names = {"month": _MONTHS, "weekday": _DAYS}.get(name, ())
    return names.index(text) + (name == "month") if text in names else None
