"""When laws let messages go: minutes of the local week, less public holidays, on every clock that counts.

An instant is open where it is open in every zone. The wall clock governs: an hour that is repeated on the night of a
clock change is open or closed both times, a skipped one does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.compliance.rule_rows import DAYS, Hours
from clarion.kernel.local_time import DAY_MINUTES, MINUTE_MS, IntArray, known_zone, offsets_ms

BoolArray: TypeAlias = npt.NDArray[np.bool_]

WEEK_MINUTES: Final = 7 * DAY_MINUTES
_THURSDAY: Final = 3
"""Day 0, 1970-01-01, as counted from Monday."""
_SEARCH_DAYS: Final = (1, 3, 16)
"""How far to look, and to look on. No row closes more than four days in a row, so that two weeks and a bit show an open
minute of any zone; mostly it is the next morning."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenHours:
    """Minutes of the local week (0: Monday, 00:00) that are open, [10080], and local days (since 1970) that never are.

    `rule_id`: whose hours these are; "" where several rules together made them.
    """

    rule_id: str
    week: BoolArray
    closed_days: frozenset[int]
    closed_before: IntArray
    """How many minutes are closed before each of the 11520 of a week and the day after it."""


def open_hours(rule_id: str, hours: Sequence[Hours], closed_days: frozenset[int]) -> OpenHours:
    """The open minutes of a row. Raises ValueError on a time of day that is none."""
    week = np.zeros(WEEK_MINUTES, np.bool_)
    for entry in hours:
        start, end = _minute(entry.start), _minute(entry.end)
        if start >= end:
            raise ValueError(f"{rule_id} opens at {entry.start} and closes at {entry.end}")
        for day in entry.days:
            first = DAYS.index(day) * DAY_MINUTES
            week[first + start : first + end] = True
    return _of_week(rule_id, week, closed_days)


def together(hours: Sequence[OpenHours]) -> OpenHours | None:
    """What is open by all of these; None where there are none, so that any time will do."""
    if not hours:
        return None
    week = np.logical_and.reduce([entry.week for entry in hours])
    return _of_week("", week, frozenset[int]().union(*(entry.closed_days for entry in hours)))


def forbidden(
    hours: Sequence[OpenHours | None],
    zones: Sequence[tuple[str, ...]],
    start_ms: IntArray,
    span_min: IntArray,
) -> BoolArray:
    """Which spans hold a closed minute, [U, H].

    Row u has `hours[u]` (None: always open) in each of `zones[u]`; `start_ms` [U, H] is when its spans start (UTC ms),
    `span_min` [H] how many minutes they last (at most a day; 1: the instant). An unknown zone counts as UTC.
    """
    closed = np.zeros(start_ms.shape, np.bool_)
    last_ms = start_ms + (span_min - 1) * MINUTE_MS
    for row, entry in enumerate(hours):
        if entry is None:
            continue
        for name in zones[row]:
            zone = known_zone(name)
            first, last = (at + offsets_ms(zone, at) for at in (start_ms[row], last_ms[row]))
            closed[row] |= _touches_closed(entry, first // MINUTE_MS, span_min)
            if (last - first != last_ms[row] - start_ms[row]).any():
                # Clocks change within a span: what it holds lies after the one wall time, or before the other.
                closed[row] |= _touches_closed(entry, last // MINUTE_MS - span_min + 1, span_min)
    return closed


def is_open(hours: OpenHours | None, zones: Sequence[str], at_ms: int) -> bool:
    """Whether an instant (UTC ms) is open on every clock."""
    return not bool(_closed_at(hours, zones, np.array([at_ms], np.int64))[0])


def first_open_ms(hours: OpenHours | None, zones: Sequence[str], at_ms: int) -> int | None:
    """The first instant from `at_ms` on (UTC ms; itself, or the start of a minute) that is open on every clock.

    None where there is none: the hours of one zone never meet those of another.
    """
    if is_open(hours, zones, at_ms):
        return at_ms
    next_minute = at_ms // MINUTE_MS + 1
    for days in _SEARCH_DAYS:
        at = (next_minute + np.arange(days * DAY_MINUTES, dtype=np.int64)) * MINUTE_MS
        allowed = ~_closed_at(hours, zones, at)
        if allowed.any():
            return int(at[allowed.argmax()])
    return None


def closed_by(opening: Sequence[OpenHours], zones: Sequence[str], at_ms: int) -> str:
    """The first of several rules by whose hours an instant (UTC ms) is closed on some clock; "" where none is."""
    return next((hours.rule_id for hours in opening if not is_open(hours, zones, at_ms)), "")


def _closed_at(hours: OpenHours | None, zones: Sequence[str], at_ms: IntArray) -> BoolArray:
    return forbidden([hours], [tuple(zones)], at_ms[None, :], np.ones(1, np.int64))[0]


def _touches_closed(hours: OpenHours, minute: IntArray, span_min: IntArray) -> BoolArray:
    """Whether spans of local minutes (since 1970) hold a closed one, [H]."""
    day, last_day = minute // DAY_MINUTES, (minute + span_min - 1) // DAY_MINUTES
    closed = np.zeros(minute.shape, np.bool_)
    if hours.closed_days:
        days = np.fromiter(hours.closed_days, np.int64)
        closed = np.isin(day, days) | np.isin(last_day, days)
    of_week = (minute + _THURSDAY * DAY_MINUTES) % WEEK_MINUTES
    counted = hours.closed_before
    return closed | (counted[of_week + span_min] > counted[of_week])


def _of_week(rule_id: str, week: BoolArray, closed_days: frozenset[int]) -> OpenHours:
    closed = ~np.concatenate([week, week[:DAY_MINUTES]])
    closed_before = np.concatenate([[0], np.cumsum(closed, dtype=np.int64)])
    return OpenHours(rule_id, week, closed_days, closed_before)


def _minute(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if not (0 <= hour <= DAY_MINUTES // 60 and 0 <= minute < DAY_MINUTES // 24):
        raise ValueError(f"{text!r} is no time of day")
    return hour * 60 + minute
