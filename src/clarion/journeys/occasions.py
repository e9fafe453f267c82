"""When journeys begin of themselves: the last time of a schedule, and dates of users, once or each year."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from clarion.journeys.conditions import Scope, find
from clarion.journeys.graph import Delay
from clarion.journeys.moments import instant_of
from clarion.journeys.schedules import Cron, read_cron
from clarion.kernel.local_time import DAY_MS, find_zone

_LEAP_DAY: Final = (2, 29)


@lru_cache(maxsize=1024)
def _cron(text: str) -> Cron | None:
    found = read_cron(text)
    return found if isinstance(found, Cron) else None


def last_time(cron: str, timezone: str, since_ms: int, until_ms: int) -> int | None:
    """The last time of a schedule in (since, until], UTC ms; None where there is none.

    A time that the clocks leap over counts as long after the leap as it would have been; of one shown twice, the first.
    """
    schedule, zone = _cron(cron), find_zone(timezone) or UTC
    if schedule is None:
        return None
    day = datetime.fromtimestamp(until_ms / 1000, zone).date()
    times = [time(hour, minute) for hour in schedule.hours for minute in schedule.minutes]
    for back in range((until_ms - since_ms) // DAY_MS + 2):
        at = day - timedelta(days=back)
        if _is_day(schedule, at):
            instants = (_to_ms(datetime.combine(at, clock, zone)) for clock in times)
            found = [instant for instant in instants if since_ms < instant <= until_ms]
            if found:
                return max(found)
    return None


def date_within(
    delay: Delay, scope: Scope, timezone: str, span: tuple[int, int], *, yearly: bool
) -> int | None:
    """When a user's date comes in (since, until], moved by the delay's offset, UTC ms; None where it does not.

    `timezone`: hers. `yearly`: on that day of any year, from the first one on (29 February: on the 28th, where there is
    none).
    """
    zone = delay.timezone or timezone
    named = instant_of(find(scope, tuple(delay.attribute.split("."))), zone, delay.clock)
    if named is None:
        return None
    since_ms, until_ms = span
    days = _anniversaries(named, zone, until_ms) if yearly else [named]
    return next((at for day in days if since_ms < (at := day + delay.offset_ms) <= until_ms), None)


def _anniversaries(named_ms: int, timezone: str, around_ms: int) -> list[int]:
    """The instants of a date in the years around an instant."""
    zone = find_zone(timezone) or UTC
    first = datetime.fromtimestamp(named_ms / 1000, zone)
    year = datetime.fromtimestamp(around_ms / 1000, zone).year
    days: list[int] = []
    for one in range(max(first.year, year - 1), year + 3):
        has_day = (first.month, first.day) != _LEAP_DAY or _has_leap_day(one)
        days.append(_to_ms(first.replace(year=one) if has_day else first.replace(year=one, day=28)))
    return days


def _has_leap_day(year: int) -> bool:
    return (date(year, 3, 1) - timedelta(days=1)).day == _LEAP_DAY[1]


def _is_day(schedule: Cron, day: date) -> bool:
    """Whether a schedule has times on a day: by its month, and by day and weekday, or either where both are given."""
    of_month, of_week = day.day in schedule.days, day.weekday() in schedule.weekdays
    fits = of_month or of_week if schedule.either_day else of_month and of_week
    return fits and day.month in schedule.months


def _to_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
