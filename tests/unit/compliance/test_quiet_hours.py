from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from clarion.compliance.quiet_hours import first_allowed_ms, is_quiet, quiet_spans, windows_of
from clarion.tenancy.model import QuietHours

NIGHT = QuietHours(22 * 60, 8 * 60)
SIESTA = QuietHours(13 * 60, 15 * 60)


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("local", "quiet"),
    [("21:59:59", False), ("22:00", True), ("00:00", True), ("07:59:59.999", True), ("08:00", False)],
)
def test_a_night_begins_with_its_first_minute_and_ends_before_its_last(local: str, quiet: bool):  # noqa: FBT001  expectation of a table
    assert is_quiet("UTC", utc_ms(f"2026-11-25T{local}"), (NIGHT,)) is quiet


def test_the_users_clock_counts():
    noon_utc = utc_ms("2026-11-25T12:00")
    assert is_quiet("America/Los_Angeles", noon_utc, (NIGHT,))
    assert not is_quiet("Europe/Berlin", noon_utc, (NIGHT,))


def test_a_window_that_ends_where_it_starts_is_empty():
    assert windows_of(QuietHours(600, 600), None, QuietHours(0, 1440)) == ()


def test_the_first_allowed_instant_is_the_end_of_the_night():
    assert first_allowed_ms("UTC", utc_ms("2026-11-25T23:15:30"), (NIGHT,)) == utc_ms("2026-11-26T08:00")


def test_what_is_allowed_stays_where_it_is():
    at = utc_ms("2026-11-25T12:34:56.789")
    assert first_allowed_ms("UTC", at, (NIGHT,)) == at


def test_windows_that_follow_one_another_are_left_together():
    windows = windows_of(NIGHT, QuietHours(8 * 60, 9 * 60 + 30))
    assert first_allowed_ms("UTC", utc_ms("2026-11-25T23:00"), windows) == utc_ms("2026-11-26T09:30")


def test_windows_that_cover_the_day_never_end():
    windows = windows_of(NIGHT, QuietHours(8 * 60, 22 * 60))
    assert first_allowed_ms("UTC", utc_ms("2026-11-25T12:00"), windows) is None


def test_a_repeated_hour_is_quiet_both_times():
    # Berlin, 2026-10-25: 02:00 to 03:00 happens twice, first at UTC+2.
    windows = windows_of(QuietHours(2 * 60, 3 * 60))
    assert first_allowed_ms("Europe/Berlin", utc_ms("2026-10-25T00:30"), windows) == utc_ms(
        "2026-10-25T02:00"
    )


def test_a_skipped_end_lets_the_window_end_with_the_gap():
    # Berlin, 2026-03-29: 02:00 to 03:00 does not happen; quiet until "02:30" ends at 03:00, UTC 01:00.
    windows = windows_of(QuietHours(60, 2 * 60 + 30))
    assert first_allowed_ms("Europe/Berlin", utc_ms("2026-03-29T00:30"), windows) == utc_ms(
        "2026-03-29T01:00"
    )


def test_a_span_is_quiet_where_any_of_its_minutes_is():
    minute = np.array([[12 * 60, 12 * 60 + 1, 14 * 60, 15 * 60, 23 * 60 + 30]])
    hour = np.full(5, 60)
    assert quiet_spans(minute, hour, [(SIESTA,)]).tolist() == [[False, True, True, False, False]]
    assert quiet_spans(minute, hour, [(QuietHours(5, 10),)]).tolist() == [[False] * 4 + [True]]


def test_rows_have_their_own_windows():
    minute = np.array([[14 * 60], [14 * 60], [14 * 60]])
    windows = [(NIGHT, SIESTA), (), (NIGHT,)]
    assert quiet_spans(minute, np.array([1]), windows).tolist() == [[True], [False], [False]]
    late = np.full((3, 1), 21 * 60)
    before_midnight = [(NIGHT, SIESTA), (), (SIESTA,)]
    assert quiet_spans(late + 150, np.array([60]), before_midnight).tolist() == [[True], [False], [False]]


def test_an_unknown_zone_is_an_error_of_the_caller():
    with pytest.raises(LookupError, match="Mars/Olympus"):
        is_quiet("Mars/Olympus", 0, (NIGHT,))
