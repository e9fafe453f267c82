"""Quiet hours against the plainest reading of a wall clock, on any instant and on the nights the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.quiet_hours import Windows, first_allowed_ms, is_quiet, windows_of
from clarion.tenancy.model import QuietHours

MINUTE = 60_000
HOUR = 60 * MINUTE
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())

ZONES = sorted(available_timezones())
WINDOWS = st.builds(QuietHours, st.integers(0, 1440), st.integers(0, 1440))


@cache
def changes_of(zone: str) -> list[int]:
    """Roughly when (UTC ms, to the half day) the clocks of a zone change in 2024 to 2030."""
    known = ZoneInfo(zone)
    days = range(START, END, 86_400)
    offsets = [datetime.fromtimestamp(s, known).utcoffset() for s in days]
    return [
        day * 1000 - 12 * HOUR
        for day, before, after in zip(days[1:], offsets, offsets[1:], strict=False)
        if before != after
    ]


@st.composite
def places_and_times(draw: st.DrawFn) -> tuple[str, int]:
    """A zone, and an instant in 2024 to 2030: half of them within a day and a half of a change of its clocks."""
    zone = draw(st.sampled_from(ZONES))
    changes = changes_of(zone)
    if changes and draw(st.booleans()):
        near = draw(st.sampled_from(changes))
        return zone, near + draw(st.integers(-36 * HOUR, 36 * HOUR))
    return zone, draw(st.integers(START * 1000, END * 1000))


def is_forbidden(zone: str, at_ms: int, windows: Windows) -> bool:
    """The plainest reading: walk the wall clock's minutes of each window."""
    local = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)
    local = local.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    for window in windows:
        start, end = window.start_min % 1440, window.end_min % 1440
        inside = start <= minute < end if start < end else (minute >= start or minute < end)
        if inside and start != end:
            return True
    return False


@given(places_and_times(), st.lists(WINDOWS, max_size=2))
def test_an_instant_is_quiet_where_the_wall_clock_says_so(place: tuple[str, int], windows: list[QuietHours]):
    zone, at_ms = place
    assert is_quiet(zone, at_ms, windows_of(*windows)) == is_forbidden(zone, at_ms, tuple(windows))


@given(places_and_times(), st.lists(WINDOWS, min_size=1, max_size=2))
def test_a_deferral_lands_on_the_first_minute_that_is_not_forbidden(
    place: tuple[str, int], windows: list[QuietHours]
):
    zone, at_ms = place
    allowed_ms = first_allowed_ms(zone, at_ms, windows_of(*windows))
    if allowed_ms is None:
        minutes = (at_ms // MINUTE + k for k in range(25 * 60))
        assert all(is_forbidden(zone, minute * MINUTE, tuple(windows)) for minute in minutes)
        return
    assert not is_forbidden(zone, allowed_ms, tuple(windows))
    if allowed_ms != at_ms:
        assert is_forbidden(zone, at_ms, tuple(windows))
        between = range(at_ms // MINUTE + 1, allowed_ms // MINUTE)
        assert all(is_forbidden(zone, minute * MINUTE, tuple(windows)) for minute in between)


@given(places_and_times(), st.lists(WINDOWS, max_size=2), WINDOWS)
def test_a_further_window_never_loosens(place: tuple[str, int], windows: list[QuietHours], more: QuietHours):
    zone, at_ms = place
    fewer, every = windows_of(*windows), windows_of(*windows, more)
    assert is_quiet(zone, at_ms, every) >= is_quiet(zone, at_ms, fewer)
    before, after = first_allowed_ms(zone, at_ms, fewer), first_allowed_ms(zone, at_ms, every)
    assert before is not None or after is None
    assert after is None or before is None or after >= before
