"""When a delay ends: spans, clock times and weekdays in the user's zone, dates that she has."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.journeys.graph import Delay
from clarion.journeys.moments import instant_of, moment

BERLIN = "Europe/Berlin"
HOUR = 3_600_000
DAY = 24 * HOUR


def at(text: str, zone: str = BERLIN) -> int:
    """The instant (UTC ms) of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_a_span_is_counted_from_now():
    assert moment(Delay(after_ms=HOUR), at("2026-11-23T08:00"), BERLIN, {}) == at("2026-11-23T09:00")


@pytest.mark.parametrize(
    ("now", "clock", "then"),
    [
        ("2026-11-23T08:00", "09:00", "2026-11-23T09:00"),
        ("2026-11-23T09:00", "09:00", "2026-11-23T09:00"),
        ("2026-11-23T09:01", "09:00", "2026-11-24T09:00"),
    ],
)
def test_a_clock_time_is_today_or_tomorrow(now: str, clock: str, then: str):
    hour, minute = clock.split(":")
    delay = Delay(clock=int(hour) * 60 + int(minute))
    assert moment(delay, at(now), BERLIN, {}) == at(then)


def test_a_weekday_with_a_clock_time_is_the_next_such_day():
    delay = Delay(clock=9 * 60, weekdays=(0,))
    assert moment(delay, at("2026-11-23T10:00"), BERLIN, {}) == at("2026-11-30T09:00")


def test_a_weekday_alone_begins_at_midnight():
    assert moment(Delay(weekdays=(5, 6)), at("2026-11-23T10:00"), BERLIN, {}) == at("2026-11-28T00:00")


def test_a_weekday_that_is_today_is_now():
    assert moment(Delay(weekdays=(0,)), at("2026-11-23T10:00"), BERLIN, {}) == at("2026-11-23T10:00")


def test_a_time_that_clocks_leap_over_is_as_long_after_the_leap():
    # On 2026-03-29 clocks in Berlin go from 02:00 to 03:00.
    due = moment(Delay(clock=2 * 60 + 30), at("2026-03-29T00:00"), BERLIN, {})
    assert due == at("2026-03-29T03:30")


def test_of_a_time_that_comes_twice_the_first_counts():
    # On 2026-10-25 clocks in Berlin go from 03:00 back to 02:00.
    due = moment(Delay(clock=2 * 60 + 30), at("2026-10-25T00:00"), BERLIN, {})
    assert due == at("2026-10-25T02:30")


def test_a_delays_own_zone_goes_before_the_users():
    delay = Delay(clock=9 * 60, timezone="Asia/Tokyo")
    assert moment(delay, at("2026-11-23T00:00", "Asia/Tokyo"), BERLIN, {}) == at(
        "2026-11-23T09:00", "Asia/Tokyo"
    )


@pytest.mark.parametrize(
    ("value", "then"),
    [
        ("2026-12-24", "2026-12-21T00:00"),
        ("2026-12-24T18:00:00+01:00", "2026-12-21T18:00"),
        ("2026-12-24T18:00", "2026-12-21T18:00"),
        (1_798_131_600, "2026-12-21T18:00"),
        (1_798_131_600_000, "2026-12-21T18:00"),
    ],
)
def test_a_date_of_the_user_moved_by_an_offset(value: Any, then: str):
    delay = Delay(attribute="user.trial_ends_at", offset_ms=-3 * DAY)
    assert moment(delay, at("2026-11-23T08:00"), BERLIN, {"user": {"trial_ends_at": value}}) == at(then)


def test_a_date_that_is_past_is_now():
    delay = Delay(attribute="context.at")
    now_ms = at("2026-11-23T08:00")
    assert moment(delay, now_ms, BERLIN, {"context": {"at": "2020-01-01"}}) == now_ms


@pytest.mark.parametrize("value", [None, "", "tomorrow", True, -1, 1e30, float("nan"), [], {}, "0000-00-00"])
def test_what_names_no_instant_names_none(value: Any):
    assert instant_of(value, BERLIN) is None


@given(
    now_s=st.integers(1_704_067_200, 1_893_456_000),
    zone=st.sampled_from(
        [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
    ),
    clock=st.none() | st.integers(0, 1439),
    weekdays=st.sets(st.integers(0, 6)),
    after=st.integers(0, 10 * DAY),
)
def test_a_moment_is_never_before_its_base_and_within_eight_days(
    now_s: int, zone: str, clock: int | None, weekdays: set[int], after: int
):
    now_ms = now_s * 1000
    delay = Delay(after_ms=after, clock=clock, weekdays=tuple(sorted(weekdays)))
    due = moment(delay, now_ms, zone, {})
    assert due is not None
    assert now_ms + after <= due <= now_ms + after + 8 * DAY
    local = datetime.fromtimestamp(due / 1000, ZoneInfo(zone))
    assert not weekdays or local.weekday() in weekdays
