"""Local time: what the clocks of an IANA time zone show at instants given in UTC milliseconds, by the array.

Nights on which clocks change (gaps and folds, half-hour shifts, half-hour zones) are exact: everything here goes from
an instant to its wall time, which is unique, never back. The caches hold facts of the tz database, and are bounded.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
ClockArray: TypeAlias = npt.NDArray[np.int8]
"""Hours of a day, days of a week."""

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
DAY_MINUTES: Final = 24 * 60

_DAY_S: Final = 86_400


@lru_cache(maxsize=2048)
def find_zone(name: str) -> ZoneInfo | None:
    """The zone of an IANA name, or None where this machine's tz database does not have it."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        # Not found; not a relative path ("/etc"); a folder of the database ("Europe").
        return None


def known_zone(*names: str) -> str:
    """The first of `names` that is a time zone, "UTC" where none is: a row with an odd zone still gets its decision."""
    return next((name for name in names if name and find_zone(name)), "UTC")


def offset_ms(zone: str, at_ms: int) -> int:
    """How far the clocks of `zone` are ahead of UTC at one instant, in ms. Raises LookupError on an unknown zone."""
    return _offset_s(_require(zone), at_ms / 1000) * 1000


def offsets_ms(zone: str, at_ms: IntArray) -> IntArray:
    """`offset_ms` of every instant of an array of any shape. Meant for instants that lie within a few years."""
    first, last = (datetime.fromtimestamp(int(ms) / 1000, UTC).year for ms in (at_ms.min(), at_ms.max()))
    years = [_changes(zone, year) for year in range(first, last + 1)]
    since = np.concatenate([year[0] for year in years])
    offset = np.concatenate([year[1] for year in years])
    return offset[np.searchsorted(since, at_ms, side="right") - 1]


def local_day(zone: str, at_ms: int) -> int:
    """The calendar day that `zone` has at an instant, as YYYYMMDD. Raises LookupError on an unknown zone."""
    local = datetime.fromtimestamp(at_ms / 1000, _require(zone))
    return local.year * 10_000 + local.month * 100 + local.day


def next_midnight_ms(zone: str, at_ms: int) -> int:
    """The instant (UTC ms) at which the next calendar day of `zone` begins. Raises LookupError on an unknown zone."""
    known = _require(zone)
    tomorrow = datetime.fromtimestamp(at_ms / 1000, known).date() + timedelta(days=1)
    return int(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=known).timestamp() * 1000)


def _require(name: str) -> ZoneInfo:
    zone = find_zone(name)
    if zone is None:
        msg = f"{name!r} is no IANA time zone"
        raise LookupError(msg)
    return zone


def _offset_s(zone: ZoneInfo, at_s: float) -> int:
    return (datetime.fromtimestamp(at_s, zone).utcoffset() or timedelta()) // timedelta(seconds=1)


@lru_cache(maxsize=2048)
def _changes(name: str, year: int) -> tuple[IntArray, IntArray]:
    """Since when (UTC ms, ascending, first the start of the UTC year) which offset (ms) holds.

    Looks once a UTC day and then bisects to the second: clocks never change twice within 24 hours.
    """
    zone = _require(name)
    start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
    since, offsets = [start], [_offset_s(zone, start)]
    for day in range(start, end, _DAY_S):
        low, high = day, min(day + _DAY_S, end - 1)
        offset = _offset_s(zone, high)
        if offset == offsets[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _offset_s(zone, middle) == offset else (middle, high)
        since.append(high)
        offsets.append(offset)
    return np.array(since, np.int64) * 1000, np.array(offsets, np.int64) * 1000
