"""Opening hours of any shape, by night too, against the plainest reading of a wall clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.opening_hours import first_open_ms, forbidden, is_open, open_hours, together
from clarion.compliance.rule_rows import DAYS, Hours
from clarion.testing.rule_oracle import FIRST_MS, LAST_MS, ZONES, changes_of

MINUTE = 60_000
HOUR = 60 * MINUTE


@st.composite
def spans_of_days(draw: st.DrawFn) -> Hours:
    start = draw(st.integers(0, 1439))
    end = draw(st.integers(start + 1, 1440))
    days = draw(st.sets(st.sampled_from(DAYS), min_size=1))
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in (start, end)]
    return Hours(tuple(day for day in DAYS if day in days), *clock)


@st.composite
def instants(draw: st.DrawFn) -> tuple[str, int]:
    """A zone and an instant; mostly within hours of a change of its clocks."""
    zone = draw(st.sampled_from(ZONES))
    nights = changes_of(zone)
    if nights and draw(st.integers(0, 3)):
        return zone, draw(st.sampled_from(nights)) + draw(st.integers(-36 * HOUR, 36 * HOUR))
    return zone, draw(st.integers(FIRST_MS, LAST_MS))


hours_of_week = st.lists(spans_of_days(), max_size=3)


def shows_open(hours: list[Hours], zone: str, at_ms: int, closed: set[date]) -> bool:
    local = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    clock = local.strftime("%H:%M")
    return local.date() not in closed and any(
        DAYS[local.weekday()] in entry.days and entry.start <= clock < entry.end for entry in hours
    )


def ordinals(days: set[date]) -> frozenset[int]:
    return frozenset((day - datetime.fromtimestamp(0, UTC).date()).days for day in days)


@given(hours_of_week, instants(), st.booleans())
def test_a_minute_is_open_where_the_clock_says_so(
    hours: list[Hours],
    instant: tuple[str, int],
    holiday: bool,  # noqa: FBT001  hypothesis gives it
):
    zone, at_ms = instant
    closed = {datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).date()} if holiday else set[date]()
    week = open_hours("x", hours, ordinals(closed))
    for minute in range(0, 180, 7):
        at = at_ms + minute * MINUTE
        assert is_open(week, (zone,), at) == shows_open(hours, zone, at, closed)


@given(hours_of_week, hours_of_week, instants(), st.sampled_from(ZONES))
def test_two_rules_on_two_clocks_are_open_where_both_are_on_both(
    some: list[Hours], others: list[Hours], instant: tuple[str, int], zone: str
):
    here, at_ms = instant
    both = together([open_hours("x", some, frozenset()), open_hours("y", others, frozenset())])
    shown = all(shows_open(hours, clock, at_ms, set()) for hours in (some, others) for clock in (here, zone))
    assert is_open(both, (here, zone), at_ms) == shown


@given(hours_of_week, instants())
def test_the_first_open_minute_is_the_first(hours: list[Hours], instant: tuple[str, int]):
    zone, at_ms = instant
    first = first_open_ms(open_hours("x", hours, frozenset()), (zone,), at_ms)
    until = at_ms + 24 * HOUR if first is None else min(first, at_ms + 48 * HOUR)
    if first == at_ms:
        assert shows_open(hours, zone, at_ms, set())
        return
    assert not shows_open(hours, zone, at_ms, set())
    assert first is None or shows_open(hours, zone, first, set())
    assert (first is None) == (not hours)
    for minute in range(at_ms // MINUTE + 1, until // MINUTE, 3):
        assert not shows_open(hours, zone, minute * MINUTE, set())


@given(hours_of_week, instants(), st.integers(1, 90))
def test_a_span_that_is_let_through_is_open_all_along(
    hours: list[Hours], instant: tuple[str, int], length: int
):
    """Where clocks change within a span it may be held to more than it holds, and never to less."""
    zone, at_ms = instant
    start = at_ms // MINUTE * MINUTE
    week = open_hours("x", hours, frozenset())
    shut = forbidden([week], [(zone,)], np.array([[start]]), np.array([length]))[0, 0]
    if not shut:
        assert all(shows_open(hours, zone, start + minute * MINUTE, set()) for minute in range(length))


def test_where_no_rule_has_hours_it_is_always_open():
    assert together([]) is None
    assert is_open(None, ("Europe/Paris",), FIRST_MS)
    assert first_open_ms(None, ("Europe/Paris",), FIRST_MS) == FIRST_MS
