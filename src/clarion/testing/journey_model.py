"""A plain model of a run, written another way than the engine: one generator that walks through the steps.

It keeps every event that it was told of in a list and its place in the generator's own frame, so it cannot be stored,
nor resumed after a crash: that is what the engine is for. Both are to ask for the same effects in the same order, and
to end alike. It knows what the state machine of the tests draws, and no more: spans as delays, conditions on counts of
events and on fields of the user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from typing import Any, Final, TypeAlias

from clarion.journeys.conditions import Condition
from clarion.journeys.graph import (
    BranchSpec,
    DelaySpec,
    DigestSpec,
    ExitSpec,
    GoalSpec,
    GotoSpec,
    Graph,
    NotificationSpec,
    Spec,
    SplitSpec,
    Step,
    WaitSpec,
    WebhookSpec,
)
from clarion.journeys.model import Done, Occurred
from clarion.journeys.split import choose_arm

MAX_VISITS: Final = 1_000
DAY_MS: Final = 86_400_000
LONGEST_MS: Final = 400 * DAY_MS
PAUSES_MS: Final = (5_000, 10_000, 20_000, 40_000, 80_000)
NOT_SENT: Final = frozenset({"blocked", "skipped", "failed", "refused"})

Place: TypeAlias = tuple[str, int, int]
"""An effect: step, visit, rung."""

Told: TypeAlias = "Occurred | Done | int"
"""What a run is told while it stands: an event, an answer, or what time it is."""

Walk: TypeAlias = Generator[None, Told, None]


class Left(Exception):  # noqa: N818  it is how a run ends, not an error
    """The run is over."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class PlainRun:
    """One run. `asked`: its effects in order, each as often as it was decided. `status`: as the engine has it."""

    def __init__(self, graph: Graph, ids: tuple[bytes, int], user: Mapping[str, Any], now_ms: int) -> None:
        self.graph = graph
        self.status = "active"
        self.step = ""
        self.asked: list[Place] = []
        self.goals: set[str] = set()
        self.now_ms = self.began_ms = now_ms
        self._journey_id, self._user_id = ids
        self._user = user
        self._events: list[Occurred] = []
        self._visits: Counter[str] = Counter()
        self._sent: Counter[int] = Counter()
        self._walk = self._go()
        self._resume(None)

    def tell(self, told: Told, now_ms: int) -> None:
        """Something reaches the run, or time has passed."""
        if self.status != "active":
            return
        self.now_ms = now_ms
        if isinstance(told, Occurred):
            if told.name not in self.graph.events or any(e.event_id == told.event_id for e in self._events):
                return
            self._events.append(told)
            if any(rule.match is not None and rule.match.event == told.name for rule in self.graph.exits):
                self.status = "exited"
                return
            for goal in self.graph.goals:
                if goal.match.event == told.name:
                    self.goals.add(goal.name)
                    if goal.ends:
                        self.status = "exited"
                        return
        self._resume(told)

    def check_bounds(self) -> None:
        """What ends a run whatever it stands at."""
        longest = self.graph.max_run_ms or LONGEST_MS
        if self.status == "active" and self.now_ms - self.began_ms > longest:
            self.status = "exited"

    def _resume(self, told: Told | None) -> None:
        try:
            if told is None:
                next(self._walk)
            else:
                self._walk.send(told)
        except Left as left:
            self.status = left.status
        except StopIteration:
            self.status = "completed"

    def _go(self) -> Walk:
        ident, came_ms, moves = self.graph.first, self.began_ms, 0
        while ident in self.graph.steps:
            moves += 1
            if moves > MAX_VISITS:
                raise Left("failed")
            self.step = ident
            self._visits[ident] += 1
            arrived_ms = self.now_ms
            step = self.graph.steps[ident]
            if step.delay is not None and step.delay.after_ms:
                yield from self._sleep(self.now_ms + step.delay.after_ms)
            if step.condition is None or self._holds(step.condition):
                ident = yield from self._take(step, came_ms, arrived_ms)
            else:
                ident = step.next
            came_ms = arrived_ms if moves > 1 else self.began_ms

    def _take(self, step: Step, came_ms: int, arrived_ms: int) -> Generator[None, Told, str]:
        """Take a step; the id of the next one."""
        goto: str | None = None
        match step.spec:
            case NotificationSpec() as spec:
                yield from self._notify(step, spec, arrived_ms)
            case WebhookSpec():
                done = yield from self._answer(step, -1)
                self._bear(step, done)
            case DelaySpec(delay=delay):
                yield from self._sleep(self.now_ms + delay.after_ms)
            case WaitSpec() as spec:
                goto = yield from self._wait(spec, came_ms)
            case DigestSpec() as spec:
                goto = yield from self._collect(spec)
            case _:
                goto = self._turn(step.spec)
        return step.next if goto is None else goto

    def _turn(self, spec: Spec) -> str | None:
        """The way that a step takes which takes no time."""
        match spec:
            case BranchSpec(cases=cases):
                ways = (case.goto for case in cases if case.condition is None or self._holds(case.condition))
                return next(ways, None)
            case SplitSpec():
                return choose_arm(spec, self._journey_id, self._user_id).goto
            case GoalSpec(name=name):
                self.goals.add(name)
            case ExitSpec():
                raise Left("exited")
            case GotoSpec(goto=goto):
                return goto
            case _:
                raise NotImplementedError(spec)
        return None

    def _sleep(self, until_ms: int) -> Walk:
        while self.now_ms < until_ms:
            yield

    def _answer(self, step: Step, rung: int) -> Generator[None, Told, Done]:
        """Ask, again after each failure that may pass, until there is an answer that counts."""
        place = (step.id, self._visits[step.id], rung)
        self.asked.append(place)
        tries = 0
        while True:
            told = yield
            if not isinstance(told, Done) or (told.step, told.visit, told.rung) != place:
                continue
            tries += 1
            if told.error and not told.final and (tries <= step.retries or step.on_error == "retry"):
                yield from self._sleep(self.now_ms + 5_000 * 2 ** (tries - 1))
                continue
            return told

    def _notify(self, step: Step, spec: NotificationSpec, arrived_ms: int) -> Walk:
        day = self.now_ms // DAY_MS
        if self._sent[day] >= self.graph.sends_per_day:
            return
        self._sent[day] += 1
        for rung in range(-1, len(spec.rungs)):
            asked_ms = self.now_ms
            done = yield from self._answer(step, rung)
            if rung + 1 >= len(spec.rungs):
                self._bear(step, done)
                return
            failed = bool(done.error) or (done.result in NOT_SENT and not self._is_met(spec, arrived_ms))
            until_ms = asked_ms + spec.rungs[rung + 1].after_ms
            while not failed and not self._is_met(spec, arrived_ms) and self.now_ms < until_ms:
                yield
            if not failed and self._is_met(spec, arrived_ms):
                return

    def _is_met(self, spec: NotificationSpec, since_ms: int) -> bool:
        until = spec.until
        return until is not None and any(
            event.name == until.event and event.received_ms >= since_ms for event in self._events
        )

    def _bear(self, step: Step, done: Done) -> None:
        """Bear an effect's failure, or leave because of it."""
        if done.error and step.on_error == "exit":
            raise Left("exited")

    def _wait(self, spec: WaitSpec, came_ms: int) -> Generator[None, Told, str | None]:
        names = {match.event for match in spec.match}
        until_ms = self.now_ms + spec.timeout_ms if spec.timeout_ms else None
        while not any(event.name in names and event.received_ms >= came_ms for event in self._events):
            if until_ms is not None and self.now_ms >= until_ms:
                return spec.on_timeout
            yield
        return spec.on_event

    def _collect(self, spec: DigestSpec) -> Generator[None, Told, str | None]:
        names = {match.event for match in spec.match}
        until_ms, before = self.now_ms + spec.window.after_ms, len(self._events)
        while True:
            count = sum(event.name in names for event in self._events[before:])
            if count >= spec.most or self.now_ms >= until_ms:
                return None if count else spec.on_empty
            yield

    def _holds(self, condition: Condition) -> bool:
        counts = Counter(event.name for event in self._events)
        events = {name: {"count": count} for name, count in counts.items()}
        return condition.judge({"user": self._user, "events": events}).holds
