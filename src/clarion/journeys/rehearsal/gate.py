"""Who enters a journey in a rehearsal, and when: by what starts it, its audience and its re-entry policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from clarion.journeys.conditions import find
from clarion.journeys.graph import Delay, Entry
from clarion.journeys.moments import instant_of
from clarion.journeys.rehearsal.world import Scenario, spread_starts
from clarion.journeys.schedules import Cron, read_cron
from clarion.kernel.local_time import find_zone

_LEAP: Final = (2, 29)


class Start(NamedTuple):
    """User `number` comes to the gate, with what the trigger brings."""

    number: int
    data: Mapping[str, Any]


class Gate:
    """The entry of one journey. Users are named by their number, from 1 on."""

    def __init__(self, scenario: Scenario, profiles: Sequence[Mapping[str, Any]]) -> None:
        self._scenario = scenario
        self._entry: Entry = scenario.graph.entry
        self._profiles = profiles
        self._last_ms: dict[int, int] = {}
        self.assumed: list[str] = []
        """What was taken for granted, for the reader."""

    def opening(self) -> Iterator[tuple[int, Start]]:
        """Everybody who comes without an event: (UTC ms, who)."""
        scenario, entry = self._scenario, self._entry
        numbers = {person.external_id: number for number, person in enumerate(scenario.people, 1)}
        starts = dict(scenario.starts)
        if entry.kind == "schedule":
            yield from self._by_schedule(entry)
        elif entry.kind == "date" and entry.date is not None:
            yield from self._by_date(entry, entry.date)
        elif not starts and not self._has_trigger():
            starts = spread_starts(
                scenario.people, scenario.begin_ms, scenario.spread_ms, scenario.start_context
            )
            self.assumed.append("every user enters once, evenly over the first span: no event starts a run")
        if entry.segment or entry.audience_segment:
            self.assumed.append("every user is in the segment")
        for user, (at_ms, data) in starts.items():
            if user in numbers:
                yield at_ms, Start(numbers[user], data)

    def is_trigger(self, event: str) -> bool:
        """Whether an event of this name may begin runs."""
        match = self._entry.match
        return self._entry.kind == "event" and match is not None and match.event == event

    def fits(self, number: int, event: Mapping[str, Any]) -> bool:
        """Whether the trigger's match holds for this event."""
        match = self._entry.match
        return (
            match is None
            or match.condition is None
            or match.condition.judge(self._scope(number, event)).holds
        )

    def refusal(self, number: int, data: Mapping[str, Any], now_ms: int, *, is_active: bool) -> str:
        """Why a user may not enter now; "": she may, and has now."""
        entry = self._entry
        if entry.audience is not None and not entry.audience.judge(self._scope(number, data)).holds:
            return "audience"
        last_ms = self._last_ms.get(number)
        if is_active and entry.reentry != "always":
            return "already in"
        if last_ms is not None and entry.reentry == "never":
            return "was in before"
        if last_ms is not None and entry.reentry == "after" and now_ms - last_ms < entry.reentry_after_ms:
            return "was in lately"
        self._last_ms[number] = now_ms
        return ""

    def _has_trigger(self) -> bool:
        return any(self.is_trigger(one.name) for one in (*self._scenario.happenings,)) or any(
            self.is_trigger(habit.event) for habit in self._scenario.habits
        )

    def _scope(self, number: int, data: Mapping[str, Any]) -> dict[str, Any]:
        person = self._scenario.people[number - 1]
        return {
            "user": self._profiles[number - 1],
            "features": person.features,
            "context": data,
            "event": data,
        }

    def _by_schedule(self, entry: Entry) -> Iterator[tuple[int, Start]]:
        cron = read_cron(entry.cron)
        if isinstance(cron, str):
            return
        scenario = self._scenario
        zone = find_zone(entry.timezone or scenario.config.tenant.timezone) or ZoneInfo("UTC")
        for at_ms in firings(cron, zone, scenario.begin_ms, scenario.end_ms):
            for number in range(1, len(scenario.people) + 1):
                yield at_ms, Start(number, {})

    def _by_date(self, entry: Entry, delay: Delay) -> Iterator[tuple[int, Start]]:
        scenario = self._scenario
        for number, person in enumerate(scenario.people, 1):
            zone = delay.timezone or person.timezone or scenario.config.tenant.timezone
            value = find(self._scope(number, {}), tuple(delay.attribute.split(".")))
            named = instant_of(value, zone, delay.clock)
            if named is None:
                continue
            for at_ms in _yearly(named, zone, scenario) if entry.yearly else (named,):
                if scenario.begin_ms <= at_ms + delay.offset_ms < scenario.end_ms:
                    yield at_ms + delay.offset_ms, Start(number, {})


def firings(cron: Cron, zone: ZoneInfo, begin_ms: int, end_ms: int) -> Iterator[int]:
    """The instants (UTC ms) of a schedule in [begin, end), rising."""
    day = datetime.fromtimestamp(begin_ms / 1000, zone).date()
    last = datetime.fromtimestamp(end_ms / 1000, zone).date()
    while day <= last:
        if _is_day(cron, day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    at_ms = round(datetime.combine(day, time(hour, minute), zone).timestamp() * 1000)
                    if begin_ms <= at_ms < end_ms:
                        yield at_ms
        day += timedelta(days=1)


def _is_day(cron: Cron, day: date) -> bool:
    by_day, by_weekday = day.day in cron.days, day.weekday() in cron.weekdays
    fits = by_day or by_weekday if cron.either_day else by_day and by_weekday
    return fits and day.month in cron.months


def _yearly(named_ms: int, zone: str, scenario: Scenario) -> Iterator[int]:
    """The same day and time in each year of the rehearsal, and those beside; 29 February else on 1 March."""
    known = find_zone(zone) or UTC
    named = datetime.fromtimestamp(named_ms / 1000, known)
    first = datetime.fromtimestamp(scenario.begin_ms / 1000, known).year
    last = datetime.fromtimestamp(scenario.end_ms / 1000, known).year
    for year in range(first - 1, last + 2):
        is_gone = (named.month, named.day) == _LEAP and not _is_leap(year)
        moved = named.replace(year=year, month=3, day=1) if is_gone else named.replace(year=year)
        yield round(moved.timestamp() * 1000)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
