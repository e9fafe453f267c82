"""Windows in which something may be sent: on which days of the week, from when to when, and not on holidays.

A window is [start, end) of local time on one day; a day without one is closed. Several zones: the wall clock of each
has to show an allowed time at that very instant. On the night of a clock change the wall clock governs: a repeated hour
is what it shows, twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np

from clarion.compliance.quiet_hours import BoolArray, Windows, quiet_spans
from clarion.kernel.local_time import DAY_MINUTES, DAY_MS, MINUTE_MS, IntArray, offset_ms, offsets_ms

Span: TypeAlias = tuple[int, int]
"""From and until, in minutes after local midnight; equal: closed."""

OPEN_DAY: Final[Span] = (0, DAY_MINUTES)
CLOSED_DAY: Final[Span] = (0, 0)

_THURSDAY: Final = 3  # 1970-01-01, where Monday is 0

SEARCH_DAYS: Final = 14
"""A week repeats after seven days, holidays or not: what is closed for two weeks is closed for good."""


class Week(msgspec.Struct, frozen=True):
    """When something may be sent: a span a weekday (Monday first), and days (since 1970) on which `holiday` holds.

    No two rules of ours have different spans on holidays: those that know any are closed then.
    """

    days: tuple[Span, ...] = (OPEN_DAY,) * 7
    closed: frozenset[int] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether nothing is ever forbidden."""
        return not self.closed and all(day == OPEN_DAY for day in self.days)


ALWAYS: Final = Week()


def intersect(weeks: Sequence[Week]) -> Week:
    """When all of them allow."""
    days = [
        (max(week.days[day][0] for week in weeks), min(week.days[day][1] for week in weeks))
        for day in range(7)
    ]
    closed = frozenset[int]().union(*(week.closed for week in weeks))
    return Week(tuple(span if span[0] < span[1] else CLOSED_DAY for span in days), closed)


def forbidden_spans(week: Week, zones: Sequence[str], start_ms: IntArray, span: IntArray) -> BoolArray:
    """Which spans of time are not wholly inside the week's windows in every zone, [H].

    `start_ms` [H]: UTC; `span` [H]: length in minutes, at most a day (1: an instant). Raises LookupError on an unknown
    zone. Spans that cross local midnight need both days.
    """
    forbidden = np.zeros(start_ms.shape, np.bool_)
    if week.is_open:
        return forbidden
    begins, ends = np.array(week.days, np.int64).T
    closed = np.array(sorted(week.closed), np.int64)
    for zone in zones:
        local = start_ms + offsets_ms(zone, start_ms)
        day, in_day = np.divmod(local, DAY_MS)
        minute = in_day // MINUTE_MS
        until = minute + span
        for nth, (low, high) in enumerate(
            ((minute, np.minimum(until, DAY_MINUTES)), (0, until - DAY_MINUTES))
        ):
            date = day + nth
            weekday = (date + _THURSDAY) % 7
            outside = (low < begins[weekday]) | (high > ends[weekday]) | np.isin(date, closed)
            forbidden |= outside & (high > low)
    return forbidden


def is_allowed(week: Week, zones: Sequence[str], at_ms: int) -> bool:
    """Whether an instant (UTC ms) lies inside the windows in every zone. Raises LookupError on an unknown zone."""
    for zone in () if week.is_open else zones:
        day, in_day = divmod(at_ms + offset_ms(zone, at_ms), DAY_MS)
        begins, ends = week.days[(day + _THURSDAY) % 7]
        if day in week.closed or not begins <= in_day // MINUTE_MS < ends:
            return False
    return True


class Opening(msgspec.Struct, frozen=True):
    """All that time forbids one message: the law's week in every zone she may be in, and quiet hours in her own."""

    week: Week
    zones: tuple[str, ...]
    zone: str
    quiet: Windows = ()

    def first_allowed_ms(self, at_ms: int) -> int | None:
        """The first instant from `at_ms` on (UTC ms; itself, or the start of a minute) that nothing forbids.

        None where nothing is allowed for `SEARCH_DAYS`. Raises LookupError on an unknown zone.
        """
        first = at_ms // MINUTE_MS * MINUTE_MS
        for day in range(SEARCH_DAYS):
            start = first + (day * DAY_MINUTES + np.arange(DAY_MINUTES, dtype=np.int64)) * MINUTE_MS
            shut = self._is_shut(start)
            if not shut.all():
                return max(int(start[shut.argmin()]), at_ms)
        return None

    def _is_shut(self, start: IntArray) -> BoolArray:
        one = np.ones(1, np.int64)
        shut = forbidden_spans(self.week, self.zones, start, one)
        if self.quiet:
            minute = (start + offsets_ms(self.zone, start)) // MINUTE_MS % DAY_MINUTES
            shut |= quiet_spans(minute[None, :], one, [self.quiet])[0]
        return shut
