"""When a delay ends: from a span, a clock time, a weekday or a date that the user has, to an instant.

Local times follow the user's zone. Where clocks leap over a time it is as long after the leap as it would have been;
where they show one twice, the first counts.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from clarion.journeys.conditions import BARE_ROOTS, ROOTS, Scope, find
from clarion.journeys.graph import Delay
from clarion.kernel.local_time import find_zone

_EPOCH_MS_FROM: Final = 100_000_000_000
"""Numbers from here on are milliseconds (1973), below they are seconds (until 5138)."""

_DATE_LENGTH: Final = len("2026-11-23")

_LAST_MS: Final = 253_402_300_799_000
"""The end of the year 9999, beyond which there are no dates."""


def moment(delay: Delay, now_ms: int, timezone: str, scope: Scope) -> int | None:
    """The instant (UTC ms) at which a delay that begins now is over; never before now.

    None where it waits for an attribute that is not set, or is no time.
    """
    zone = delay.timezone or timezone
    if delay.attribute:
        named = instant_of(find(scope, tuple(delay.attribute.split("."))), zone, delay.clock)
        return None if named is None else max(now_ms, named + delay.offset_ms)
    base_ms = now_ms + delay.after_ms
    if delay.clock is None and not delay.weekdays:
        return base_ms
    return _next_clock(delay, base_ms, zone)


def reads_of(delay: Delay) -> frozenset[str]:
    """The roots that a delay reads: those its attribute may be in, and `user` for the zone of a local time."""
    root = delay.attribute.split(".")[0]
    roots = frozenset((root,) if root in ROOTS else BARE_ROOTS) if root else frozenset[str]()
    is_local = delay.clock is not None or bool(delay.weekdays) or bool(delay.attribute)
    return roots | {"user"} if is_local and not delay.timezone else roots


def instant_of(value: Any, timezone: str, clock: int | None = None) -> int | None:  # noqa: ANN401  any JSON
    """The instant that a JSON value names: ISO 8601 (a date is its midnight, or `clock`, in `timezone`), or a number.

    None where it names none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_time = math.isfinite(value) and 0 <= value <= _LAST_MS
        return int(value if value >= _EPOCH_MS_FROM else value * 1000) if is_time else None
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        if len(value) == _DATE_LENGTH:
            at += timedelta(minutes=clock or 0)
        return _to_ms(at if at.tzinfo else at.replace(tzinfo=find_zone(timezone) or UTC))
    except (ValueError, OverflowError):
        return None


def _next_clock(delay: Delay, base_ms: int, timezone: str) -> int:
    """The first instant from `base_ms` on at which the local clock and weekday are those asked for."""
    zone = find_zone(timezone) or UTC
    base = datetime.fromtimestamp(base_ms / 1000, zone)
    day = base.date()
    for _ in range(9):  # a week, and a day on either side that clocks may have leapt over
        if not delay.weekdays or day.weekday() in delay.weekdays:
            at_ms = _to_ms(_at(day, base, delay.clock).replace(tzinfo=zone))
            if at_ms >= base_ms:
                return at_ms
        day += timedelta(days=1)
    return base_ms


def _at(day: date, base: datetime, clock: int | None) -> datetime:
    """The local time on a day: the clock that was asked for, else that of `base`, else (a later day) midnight."""
    if clock is not None:
        return datetime.combine(day, time(clock // 60, clock % 60))
    return base.replace(tzinfo=None) if day == base.date() else datetime.combine(day, time())


def _to_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
