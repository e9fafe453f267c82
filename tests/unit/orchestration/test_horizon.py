from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from clarion.orchestration.horizon import HORIZON_HOURS, Clock, lay_out, local_days
from clarion.tenancy.model import QuietHours

HOUR = 3_600_000


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def hours_of(zone: str, at: str, hours: int = HORIZON_HOURS) -> list[datetime]:
    """The starts of the hours that a clock lays out, as local times."""
    [starts] = lay_out([Clock(zone, "UTC", utc_ms(at), ())], hours).start_ms.tolist()
    return [datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)) for ms in starts]


def test_the_anchor_stands_first_and_whole_local_hours_follow():
    first, *following = hours_of("Asia/Kolkata", "2026-11-25T12:00:01", 4)
    assert (first.hour, first.minute, first.second) == (17, 30, 1)
    assert [(at.hour, at.minute) for at in following] == [(18, 0), (19, 0), (20, 0)]


def test_an_anchor_at_the_top_of_an_hour_is_followed_by_the_next():
    assert [at.hour for at in hours_of("UTC", "2026-11-25T12:00", 3)] == [12, 13, 14]


def test_the_facts_of_an_hour_are_local():
    horizon = lay_out([Clock("Asia/Tokyo", "UTC", utc_ms("2026-11-29T14:30"), ())], 3)
    assert horizon.hour.tolist() == [[23, 0, 1]]
    assert horizon.weekday.tolist() == [[6, 0, 0]]
    assert horizon.day.tolist() == [[0, 1, 1]]


def test_a_repeated_hour_stands_there_twice_and_a_skipped_one_not_at_all():
    autumn = hours_of("Europe/Berlin", "2026-10-24T23:30", 6)
    assert [at.hour for at in autumn[1:]] == [2, 2, 3, 4, 5]
    spring = hours_of("Europe/Berlin", "2026-03-28T23:30", 6)
    assert [at.hour for at in spring[1:]] == [1, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("zone", "at", "broken"),
    [
        ("Australia/Lord_Howe", "2026-10-03T14:00", 2),  # 02:00 becomes 02:30
        ("Pacific/Chatham", "2026-09-26T12:00", 2),  # 02:45 becomes 03:45
    ],
)
def test_an_hour_in_which_the_clocks_change_is_left_out(zone: str, at: str, broken: int):
    local = hours_of(zone, at)[1:]
    assert all(start.minute == 0 for start in local)
    night = [start.hour for start in local if start.date() == local[0].date()]
    assert broken not in night
    assert len(local) == HORIZON_HOURS - 1


def test_each_clock_has_its_own_quiet_hours():
    anchor = utc_ms("2026-11-25T12:00")
    clocks = [
        Clock("UTC", "UTC", anchor, ()),
        Clock("UTC", "UTC", anchor, (QuietHours(12 * 60, 12 * 60 + 1), QuietHours(13 * 60 + 59, 14 * 60))),
    ]
    assert lay_out(clocks, 3).quiet.tolist() == [[[False] * 3], [[True, True, False]]]


def test_the_present_day_is_that_of_each_clocks_zone():
    late = utc_ms("2026-11-25T23:30")
    clocks = [Clock(zone, "UTC", late + 40 * HOUR, ()) for zone in ("UTC", "Asia/Tokyo", "nowhere")]
    first, tokyo, fallback = local_days(clocks, late).tolist()
    assert (tokyo - first, fallback - first) == (1, 0)
