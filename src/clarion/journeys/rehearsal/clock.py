"""The clock of a rehearsal: what is due next happens next, and the engine advances whoever it reaches.

    due times, events, news of messages ─▶ advance ─▶ commands ─▶ post and answers ─▶ advance ─▶ … ─▶ the next instant

Everything of one instant is one batch, as it is for the worker. Effects are answered at the instant they are asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count
from typing import Any, Final, TypeAlias

import msgspec

from clarion.journeys.advance import advance
from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.facts import RANK
from clarion.journeys.graph import NotificationSpec, WaitSpec
from clarion.journeys.model import (
    NEVER,
    Ask,
    Context,
    Done,
    Due,
    Facts,
    Input,
    Instance,
    Moved,
    Occurred,
    Progress,
    Recall,
    Reported,
    Seen,
    Send,
    Turn,
)
from clarion.journeys.rehearsal.answers import Answers
from clarion.journeys.rehearsal.chance import draw
from clarion.journeys.rehearsal.figures import HOUR_MS, Books, Posted, Result, UserStory, tell_run
from clarion.journeys.rehearsal.gate import Gate, Start
from clarion.journeys.rehearsal.post import Letter, Post
from clarion.journeys.rehearsal.world import DAY_MS, GRID_MS, Happening, Scenario
from clarion.journeys.take import MESSAGE_WISHES

_FURTHEST: Final = {status: place for place, status in enumerate(RANK)}
_WAITS: Final = _FURTHEST["queued"]

Reached: TypeAlias = dict[int, list[Input]]


class _Run(msgspec.Struct):
    """One run. `planned_ms`: when the clock comes back to it; `messages`: what its facts say of its messages."""

    instance: Instance
    context: Context | None
    facts: Facts
    messages: dict[tuple[str, int], str]
    planned_ms: int = 0


class _Wake(msgspec.Struct, frozen=True):
    """A run's time has come, unless it was planned anew since."""

    run: int


class _News(msgspec.Struct, frozen=True):
    """A letter's next stage."""

    letter: Letter
    what: str


class Rehearsal:
    """One rehearsal, an instant at a time. The same scenario always takes the same course."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._heap: list[tuple[int, int, Any]] = []
        self._order = count()
        self._runs: list[_Run] = []
        self._active: dict[int, set[int]] = {}
        self._profiles = [person.profile() for person in scenario.people]
        self._numbers = {person.external_id: number for number, person in enumerate(scenario.people, 1)}
        cards = [person.card(number) for number, person in enumerate(scenario.people, 1)]
        self._books = Books(
            scenario.begin_ms, max(1, -(-int(scenario.days * DAY_MS) // HOUR_MS)), list(scenario.graph.steps)
        )
        self._post = Post(
            scenario, cards, self._books, lambda at_ms, letter, what: self._plan(at_ms, _News(letter, what))
        )
        self._answers = Answers(scenario.fetched)
        self._gate = Gate(scenario, self._profiles)
        self._refused: dict[int, list[str]] = {}
        self._hears_messages = _hears_messages(scenario)
        self._begin()

    def step(self) -> bool:
        """Let the next instant happen. False: nothing more does."""
        if not self._heap or self._heap[0][0] >= self._scenario.end_ms:
            return False
        now_ms = self._heap[0][0]
        reached: Reached = {}
        while self._heap and self._heap[0][0] == now_ms:
            self._happen(heapq.heappop(self._heap)[2], reached, now_ms)
        while reached:
            reached = self._move(reached, now_ms)
        return True

    def result(self) -> Result:
        """What came of it so far."""
        scenario, books = self._scenario, self._books
        runs = [run.instance for run in self._runs]
        statuses: dict[str, int] = {}
        ends: dict[str, int] = {}
        for run in runs:
            statuses[run.status] = statuses.get(run.status, 0) + 1
            if run.ended_ms:
                end = f"{run.status}: {run.reason}" if run.reason else run.status
                ends[end] = ends.get(end, 0) + 1
        return Result(
            scenario.begin_ms,
            scenario.days,
            len(scenario.people),
            len(runs),
            statuses,
            ends,
            dict(books.refused),
            books.channels,
            dict(books.blocked),
            dict(books.moved),
            dict(books.skipped),
            books.recalled,
            books.close(runs),
            dict(books.goals),
            self._stories(),
            [*self._gate.assumed, *sorted(self._answers.assumed)],
        )

    # ------------------------------------------------------------------------------------------------- what happens

    def _begin(self) -> None:
        scenario = self._scenario
        for at_ms, start in self._gate.opening():
            self._plan(at_ms, start)
        for happening in scenario.happenings:
            self._plan(happening.at_ms, happening)
        for habit in scenario.habits:
            for number, person in enumerate(scenario.people, 1) if habit.per_day > 0 else ():
                for at_ms in self._times(number, habit.event, habit.per_day):
                    self._plan(at_ms, Happening(at_ms, habit.event, person.external_id, habit.properties))

    def _times(self, number: int, event: str, per_day: float) -> list[int]:
        """When a user does what she does `per_day` times a day."""
        scenario = self._scenario
        expected = per_day * scenario.days
        times = int(expected) + (draw(scenario.seed, "more", event, number) < expected % 1)
        span_ms = scenario.end_ms - scenario.begin_ms
        drawn = (draw(scenario.seed, "at", event, number, place) for place in range(times))
        return [scenario.begin_ms + int(share * span_ms) // GRID_MS * GRID_MS for share in drawn]

    def _plan(self, at_ms: int, what: object) -> None:
        if at_ms < self._scenario.end_ms:
            heapq.heappush(self._heap, (max(at_ms, self._scenario.begin_ms), next(self._order), what))

    def _happen(self, what: object, reached: Reached, now_ms: int) -> None:
        match what:
            case _Wake(run=run):
                if self._runs[run].planned_ms == now_ms:
                    reached.setdefault(run, []).append(Due())
            case _News(letter=letter, what=stage):
                self._hear(letter, self._post.proceed(letter, stage, now_ms), reached, now_ms)
            case Happening():
                named = self._numbers.get(what.user)
                for number in (
                    range(1, len(self._scenario.people) + 1) if not what.user else [named] if named else []
                ):
                    self._occur(number, what, reached, now_ms)
            case Start():
                self._enter(what, reached, now_ms)
            case _:
                pass

    def _occur(self, number: int, happening: Happening, reached: Reached, now_ms: int) -> None:
        name = happening.name
        event_id = next(self._order).to_bytes(16, "big")
        event = Occurred(event_id, name, now_ms, now_ms, happening.properties)
        if name in self._scenario.graph.events:
            for run in sorted(self._active.get(number, ())):
                reached.setdefault(run, []).append(event)
        if self._gate.is_trigger(name) and self._gate.fits(number, happening.properties):
            self._enter(Start(number, happening.properties, event), reached, now_ms)

    def _enter(self, start: Start, reached: Reached, now_ms: int) -> None:
        number, scenario = start.number, self._scenario
        why = self._gate.refusal(number, start.data, now_ms, is_active=bool(self._active.get(number)))
        if why:
            self._books.refused[why] += 1
            self._refused.setdefault(number, []).append(why)
            return
        ident = effect_id(
            scenario.journey_id, scenario.people[number - 1].external_id, len(self._runs), OWN, now_ms
        )
        messages: dict[tuple[str, int], str] = {}
        person, tenant = scenario.people[number - 1], scenario.config.tenant
        facts = Facts(
            person.timezone or tenant.timezone or "UTC", self._profiles[number - 1], person.features, messages
        )
        instance = Instance(
            instance_id=ident,
            tenant_id=tenant.tenant_id,
            journey_id=scenario.journey_id,
            version=1,
            user_id=number,
            region="",
            is_test=False,
            status="active",
            seq=0,
            step="",
            due_ms=now_ms,
            progress=_first_progress(start.event),
            context_version=1,
            entered_ms=now_ms,
        )
        place = len(self._runs)
        events = {} if start.event is None else {start.event.name: dict(start.data)}
        context = Context(dict(start.data), events)
        self._runs.append(_Run(instance, context, facts, messages))
        self._active.setdefault(number, set()).add(place)
        reached.setdefault(place, []).append(Due())

    def _hear(self, letter: Letter, status: str, reached: Reached, now_ms: int) -> None:
        """Let the run know how its message does, and its user do what she does because of it."""
        if not status:
            return
        run, posted = self._runs[letter.run], letter.posted
        _note(run, (posted.step, posted.visit), status)
        if self._hears_messages and run.instance.status == "active":
            event_id = next(self._order).to_bytes(16, "big")
            report = Reported(event_id, posted.step, posted.visit, status, now_ms)
            reached.setdefault(letter.run, []).append(report)
        scenario = self._scenario
        for habit in scenario.habits:
            if habit.after == status:
                asked = (habit.event, letter.ident.hex(), posted.channel)
                if draw(scenario.seed, "does", *asked) < habit.share:
                    at_ms = now_ms + int(draw(scenario.seed, "then", *asked) * habit.within_ms)
                    self._plan(at_ms, Happening(at_ms, habit.event, posted.user, habit.properties))

    # ------------------------------------------------------------------------------------------------- what follows

    def _move(self, reached: Reached, now_ms: int) -> Reached:
        """Advance the runs that something reached, carry out what they ask; what this brings them at once."""
        graph = self._scenario.graph
        places = list(reached)
        turns: list[Turn] = []
        for place in places:
            run = self._runs[place]
            turns.append(Turn(run.instance, graph, tuple(reached[place]), run.facts, run.context))
        answers: Reached = {}
        sends: list[tuple[int, Send]] = []
        for place, moved in zip(places, advance(turns, now_ms), strict=True):
            self._settle(place, moved, now_ms)
            for command in moved.commands:
                match command:
                    case Send():
                        sends.append((place, command))
                    case Recall():
                        self._post.recall(command.notification_ids)
                    case Ask():
                        answers.setdefault(place, []).append(self._answer(place, command, now_ms))
        for (place, send), done in zip(sends, self._send(sends, now_ms), strict=True):
            _note(self._runs[place], (send.step, send.visit), done.result or "failed")
            answers.setdefault(place, []).append(done)
        return answers

    def _settle(self, place: int, moved: Moved, now_ms: int) -> None:
        run, instance = self._runs[place], moved.instance
        run.instance = instance
        if moved.context is not None:
            run.context = moved.context
        self._books.hear(moved.events)
        if instance.status != "active":
            run.planned_ms = NEVER
            self._active.get(instance.user_id, set()).discard(place)
            return
        due_ms = instance.due_ms if moved.commands else max(instance.due_ms, now_ms + 1)
        if due_ms > now_ms and due_ms != run.planned_ms:
            run.planned_ms = due_ms
            self._plan(due_ms, _Wake(place))

    def _answer(self, place: int, ask: Ask, now_ms: int) -> Done:
        run = self._runs[place]
        return self._answers.answer(ask, run.context, self._profiles[run.instance.user_id - 1], now_ms)

    def _send(self, sends: Sequence[tuple[int, Send]], now_ms: int) -> list[Done]:
        if not sends:
            return []
        asked = [
            (place, send, self._runs[place].context, self._profiles[send.instance.user_id - 1])
            for place, send in sends
        ]
        return self._post.send(asked, now_ms)

    def _stories(self) -> list[UserStory]:
        scenario = self._scenario
        runs: dict[int, list[Instance]] = {}
        for run in self._runs:
            runs.setdefault(run.instance.user_id, []).append(run.instance)
        return [
            UserStory(
                person.external_id,
                [tell_run(run) for run in runs.get(number, ())],
                sorted(self._post.sent.get(number, ()), key=_moment_of),
                self._refused.get(number, []),
            )
            for number, person in enumerate(scenario.people, 1)
            if not scenario.details or person.external_id in scenario.details
        ]


def rehearse(scenario: Scenario) -> Result:
    """A rehearsal from its beginning to its end. Pure: the same scenario gives the same result."""
    rehearsal = Rehearsal(scenario)
    while rehearsal.step():
        pass
    return rehearsal.result()


def _first_progress(event: Occurred | None) -> Progress:
    """As `journeys.trigger` has it: the event that lets her in is the first that the run has seen."""
    if event is None:
        return Progress()
    seen = Seen(1, event.at_ms, event.at_ms, event.received_ms)
    return Progress(known=[event.event_id], seen={event.name: seen})


def _moment_of(posted: Posted) -> int:
    return posted.out_ms or posted.due_ms


def _note(run: _Run, key: tuple[str, int], status: str) -> None:
    """Keep the furthest that is known of a step's messages."""
    known = run.messages.get(key)
    if known is None or _FURTHEST.get(status, _WAITS) > _FURTHEST.get(known, _WAITS):
        run.messages[key] = status


def _hears_messages(scenario: Scenario) -> bool:
    """Whether news of its messages may move a run of this journey."""
    graph = scenario.graph
    if any(rule.condition is not None and "steps" in rule.condition.roots for rule in graph.exits):
        return True
    specs = [step.spec for step in graph.steps.values()]
    return any(
        (isinstance(spec, WaitSpec) and spec.of_step)
        or (isinstance(spec, NotificationSpec) and spec.until and spec.until.event in MESSAGE_WISHES)
        for spec in specs
    )
