"""Who enters a journey in a rehearsal, and when: by what starts it, its audience and its re-entry policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from clarion.journeys.graph import Delay, Entry
from clarion.journeys.model import Occurred
from clarion.journeys.occasions import date_within, last_time
from clarion.journeys.rehearsal.world import Scenario, spread_starts


class Start(NamedTuple):
    """User `number` comes to the gate, with what the trigger brings; `event`: what she did, where that is it."""

    number: int
    data: Mapping[str, Any]
    event: Occurred | None = None


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
        return any(self.is_trigger(one.name) for one in self._scenario.happenings) or any(
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
        scenario = self._scenario
        zone = entry.timezone or scenario.config.tenant.timezone
        since_ms, until_ms = scenario.begin_ms - 1, scenario.end_ms - 1
        while (at_ms := last_time(entry.cron, zone, since_ms, until_ms)) is not None:
            for number in range(1, len(scenario.people) + 1):
                yield at_ms, Start(number, {})
            until_ms = at_ms - 1

    def _by_date(self, entry: Entry, delay: Delay) -> Iterator[tuple[int, Start]]:
        scenario = self._scenario
        for number, person in enumerate(scenario.people, 1):
            zone = person.timezone or scenario.config.tenant.timezone
            span = (scenario.begin_ms - 1, scenario.end_ms - 1)
            scope = self._scope(number, {})
            while (at_ms := date_within(delay, scope, zone, span, yearly=entry.yearly)) is not None:
                yield at_ms, Start(number, {})
                span = (at_ms, span[1])
