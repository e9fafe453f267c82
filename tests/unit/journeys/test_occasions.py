"""When journeys begin of themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clarion.journeys.entries import DATE_EVERY_MS, MISSED_MS, SEGMENT_EVERY_MS, Cursor, begin_round
from clarion.journeys.graph import Delay, Entry
from clarion.journeys.occasions import date_within, last_time

DAY_MS = 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("cron", "zone", "until", "expected"),
    [
        ("0 9 * * *", "UTC", "2026-11-23T09:00", "2026-11-23T09:00"),
        ("0 9 * * *", "UTC", "2026-11-23T08:59", "2026-11-22T09:00"),
        ("0 9 * * *", "Asia/Tokyo", "2026-11-23T08:59", "2026-11-23T00:00"),
        ("*/15 * * * *", "UTC", "2026-11-23T08:59", "2026-11-23T08:45"),
        ("0 9 * * 1", "UTC", "2026-11-23T12:00", "2026-11-23T09:00"),
        ("0 9 * * 2", "UTC", "2026-11-23T12:00", None),
        ("0 9 23 * *", "UTC", "2026-11-23T12:00", "2026-11-23T09:00"),
        ("0 9 1 * 1", "UTC", "2026-11-23T12:00", "2026-11-23T09:00"),
        ("0 9 * 5 *", "UTC", "2026-11-23T12:00", None),
        # Clocks leap from 02:00 to 03:00: as long after the leap.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T01:30"),
        # Clocks show 02:30 twice: the first.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:30"),
        ("nonsense", "UTC", "2026-11-23T12:00", None),
    ],
)
def test_the_last_time_of_a_schedule(cron: str, zone: str, until: str, expected: str | None):
    found = last_time(cron, zone, ms(until) - DAY_MS, ms(until))
    assert found == (None if expected is None else ms(expected))


def test_a_time_that_is_done_is_not_found_again():
    at = ms("2026-11-23T09:00")
    assert last_time("0 9 * * *", "UTC", at, at + 3_600_000) is None


@pytest.mark.parametrize(
    ("value", "offset_days", "yearly", "now", "expected"),
    [
        ("2026-11-23T10:00:00Z", 0, False, "2026-11-23T10:00", "2026-11-23T10:00"),
        ("2026-11-23T10:00:00Z", 0, False, "2026-11-23T12:00", None),
        ("2026-11-26T10:00:00Z", -3, False, "2026-11-23T10:00", "2026-11-23T10:00"),
        ("2026-11-23", 0, False, "2026-11-23T00:00", "2026-11-23T00:00"),
        ("1990-11-23", 0, True, "2026-11-23T00:00", "2026-11-23T00:00"),
        ("1990-11-23", 0, False, "2026-11-23T00:00", None),
        ("1992-02-29", 0, True, "2026-02-28T00:00", "2026-02-28T00:00"),
        ("1992-02-29", 0, True, "2028-02-28T00:00", None),
        ("1992-02-29", 0, True, "2028-02-29T00:00", "2028-02-29T00:00"),
        ("1990-01-02", -7, True, "2026-12-26T00:00", "2026-12-26T00:00"),
        ("2030-11-23", 0, True, "2026-11-23T00:00", None),
        ("soon", 0, False, "2026-11-23T00:00", None),
        (None, 0, False, "2026-11-23T00:00", None),
    ],
)
def test_a_users_date(value: Any, offset_days: int, now: str, expected: str | None, *, yearly: bool):
    delay = Delay(attribute="user.day", offset_ms=offset_days * DAY_MS)
    scope = {"user": {} if value is None else {"day": value}}
    found = date_within(delay, scope, "UTC", (ms(now) - 3_600_000, ms(now)), yearly=yearly)
    assert found == (None if expected is None else ms(expected))


def test_a_first_look_takes_nobody():
    now = ms("2026-11-23T12:00")
    daily = Entry(kind="schedule", cron="0 9 * * *")
    assert begin_round(daily, Cursor(), now, "UTC") == Cursor(now)
    assert begin_round(Entry(kind="date"), Cursor(), now, "UTC") == Cursor(now)
    # Of a segment it is noted who is there: a round with no look before it.
    assert begin_round(Entry(kind="segment"), Cursor(), now, "UTC") == Cursor(-1, now)


@pytest.mark.parametrize(("kind", "every_ms"), [("segment", SEGMENT_EVERY_MS), ("date", DATE_EVERY_MS)])
def test_rounds_begin_one_after_the_other(kind: Any, every_ms: int):
    now = ms("2026-11-23T12:00")
    assert begin_round(Entry(kind=kind), Cursor(now - every_ms + 1), now, "UTC") is None
    assert begin_round(Entry(kind=kind), Cursor(now - every_ms), now, "UTC") == Cursor(now - every_ms, now)
    under_way = Cursor(now - DAY_MS, now - 5, 77)
    assert begin_round(Entry(kind=kind), under_way, now, "UTC") == under_way


def test_of_missed_times_the_last_is_made_up_for_within_a_day():
    now = ms("2026-11-23T12:00")
    hourly, weekly = Entry(kind="schedule", cron="0 * * * *"), Entry(kind="schedule", cron="0 9 * * 6")
    missed = Cursor(now - 5 * DAY_MS)
    assert begin_round(hourly, missed, now, "UTC") == Cursor(now - MISSED_MS, now)
    assert begin_round(weekly, missed, now, "UTC") is None
