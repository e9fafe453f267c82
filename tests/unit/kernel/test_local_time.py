from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clarion.kernel.local_time import (
    HOUR_MS,
    find_zone,
    known_zone,
    local_day,
    next_midnight_ms,
    offset_ms,
    offsets_ms,
)

YEAR_2026 = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Europe/Berlin",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Africa/Casablanca",
        "America/Santiago",
    ],
)
def test_offsets_are_those_of_the_zone_every_quarter_of_two_years(zone: str):
    at = YEAR_2026 + np.arange(2 * 365 * 24 * 4, dtype=np.int64) * (HOUR_MS // 4)
    truth = [
        int(offset.total_seconds() * 1000)
        for ms in at.tolist()
        if (offset := datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).utcoffset()) is not None
    ]
    assert offsets_ms(zone, at).tolist() == truth


def test_a_change_takes_effect_to_the_millisecond():
    change = int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000)
    at = np.array([[change - 1, change]])
    assert offsets_ms("Europe/Berlin", at).tolist() == [[HOUR_MS, 2 * HOUR_MS]]
    assert [offset_ms("Europe/Berlin", ms) for ms in (change - 1, change)] == [HOUR_MS, 2 * HOUR_MS]


def test_the_local_day_is_the_users():
    late_in_utc = int(datetime(2026, 12, 31, 23, 30, tzinfo=UTC).timestamp() * 1000)
    assert local_day("UTC", late_in_utc) == 2026_12_31
    assert local_day("Asia/Tokyo", late_in_utc) == 2027_01_01


@pytest.mark.parametrize(
    ("zone", "at", "midnight"),
    [
        ("UTC", "2026-11-25T12:00", "2026-11-26T00:00"),
        ("UTC", "2026-11-25T00:00", "2026-11-26T00:00"),
        ("Asia/Kolkata", "2026-11-25T12:00", "2026-11-25T18:30"),
        ("Europe/Berlin", "2026-10-25T00:00", "2026-10-25T23:00"),  # a day of 25 hours
        (
            "America/Santiago",
            "2026-09-05T12:00",
            "2026-09-06T04:00",
        ),  # midnight is skipped: the day begins at 01:00
    ],
)
def test_the_next_day_begins_when_the_local_date_changes(zone: str, at: str, midnight: str):
    at_ms, midnight_ms = (
        int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) for text in (at, midnight)
    )
    assert next_midnight_ms(zone, at_ms) == midnight_ms
    assert local_day(zone, midnight_ms - 1) < local_day(zone, midnight_ms)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "/etc/passwd", "../etc", "Europe", "Europe/Berlin\0", "\ud800"]
)
def test_what_is_no_zone_is_none(name: str):
    assert find_zone(name) is None


def test_the_first_known_zone_is_taken():
    assert known_zone("Asia/Tokyo", "Europe/Paris") == "Asia/Tokyo"
    assert known_zone("", "Europe/Paris") == "Europe/Paris"
    assert known_zone("Mars/Olympus", "Nowhere") == "UTC"
