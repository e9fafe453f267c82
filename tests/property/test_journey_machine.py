"""The engine against a plain model of it, over random definitions, events, crashes and clocks.

A transition is fed to the model when it is committed, and only then: what a worker decided that died before its commit,
or lost it to another, never happened. Effects are carried out after the commit that decided them, sometimes twice.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clarion.journeys.advance import advance
from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.model import (
    ASKED,
    NEVER,
    Ask,
    Command,
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
    Send,
    Turn,
)
from clarion.testing.journey_model import Place, PlainRun

BEGAN_MS = 1_790_000_000_000
EVENTS = ("opened", "bought", "left", "won")
JOURNEY = b"j" * 16
STEPS = 6

CONDITIONS = (
    "events.bought.count > 0",
    "events.opened.count >= 2",
    "!user.vip",
    "user.vip && events.bought.count == 1",
    "nobody.knows > 3 || user.vip",
)

names = st.sampled_from([f"s{n}" for n in range(STEPS)])
targets = st.one_of(names, st.just("nowhere"))
spans = st.sampled_from(["30s", "10m", "2h", "3d"])
events = st.sampled_from(EVENTS)
conditions = st.sampled_from(CONDITIONS)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def join_ways(ways: tuple[list[dict[str, str]], dict[str, str]]) -> list[dict[str, str]]:
    """The conditions of a branch, `else` last."""
    cases, other = ways
    return [*cases, other]


arms = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b", "c"]), "weight": st.integers(1, 3), "goto": targets}
    ),
    min_size=2,
    max_size=3,
    unique_by=lambda arm: str(arm["name"]),
)
ways = st.tuples(
    st.lists(st.fixed_dictionaries({"if": conditions, "goto": targets}), min_size=1, max_size=3),
    st.fixed_dictionaries({"else": names}),
).map(join_ways)
rungs = st.lists(st.fixed_dictionaries({"channel": st.just("sms"), "after": spans}), min_size=1, max_size=2)
message = {"type": st.just("notification"), "template": st.just("t"), "channels": st.just(["email"])}
webhook = {"url": st.just("https://example.com/"), "on_error": st.sampled_from(["skip", "exit"])}

KINDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "notification": st.fixed_dictionaries(message),
    "fallback": st.fixed_dictionaries({**message, "fallback": rungs, "until": events}),
    "webhook": st.fixed_dictionaries(webhook),
    "wait": st.fixed_dictionaries({"event": events, "timeout": spans}, optional={"on_timeout": names}),
    "branch": st.fixed_dictionaries({"conditions": ways}),
    "split": st.fixed_dictionaries({"arms": arms}),
    "goto": st.fixed_dictionaries({"goto": targets}),
    "digest": st.fixed_dictionaries({"event": events, "window": spans}),
    "goal": st.fixed_dictionaries({"name": st.sampled_from(["one", "two"])}),
    "exit": st.just({}),
    "delay": st.fixed_dictionaries({"type": st.just("delay"), "delay": spans}),
}
"""Fields of a step by its kind."""


@st.composite
def steps(draw: st.DrawFn, ident: str) -> dict[str, Any]:
    """One step of any kind that the model knows."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    common = draw(optional(condition=conditions, delay=spans))
    return {"id": ident, "type": kind, **common, **draw(KINDS[kind])}


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A journey of some steps."""
    drawn = [draw(steps(f"s{n}")) for n in range(draw(st.integers(1, STEPS)))]
    exits = draw(st.lists(st.just({"event": "left"}), max_size=1))
    settings_ = draw(optional(max_duration=st.sampled_from(["5d", "30d"])))
    return {"name": "random", "steps": drawn, "exit_conditions": exits, "settings": settings_}


class World:
    """One run in its store, the model of it, and the effects that are owed."""

    def __init__(self) -> None:
        self.now_ms = BEGAN_MS
        self.stored = b""
        self.contexts: dict[int, bytes] = {}
        self.owed: list[Command] = []
        self.effects: dict[bytes, Place] = {}
        self.stale: list[bytes] = []
        self.model: PlainRun | None = None

    def enter(self, definition: dict[str, Any], *, vip: bool) -> None:
        compiled = compile_journey(definition)
        assert compiled.graph is not None, compiled.findings
        self.graph: Graph = compiled.graph
        self.user = {"vip": vip}
        first = Instance(
            instance_id=b"i" * 16,
            tenant_id=b"t" * 16,
            journey_id=JOURNEY,
            version=1,
            user_id=7,
            region="here",
            is_test=False,
            status="active",
            seq=0,
            step="",
            due_ms=self.now_ms,
            progress=Progress(),
            context_version=0,
            entered_ms=self.now_ms,
        )
        self.stored = msgspec.msgpack.encode(first)
        self.commit((Due(),))

    @property
    def is_active(self) -> bool:
        return bool(self.stored) and self.instance.status == "active"

    @property
    def instance(self) -> Instance:
        return msgspec.msgpack.decode(self.stored, type=Instance)

    def decide(self, stored: bytes, inputs: tuple[Input, ...]) -> Moved:
        instance = msgspec.msgpack.decode(stored, type=Instance)
        kept = self.contexts.get(instance.context_version)
        context = Context() if kept is None else msgspec.msgpack.decode(kept, type=Context)
        (moved,) = advance([Turn(instance, self.graph, inputs, Facts(user=self.user), context)], self.now_ms)
        assert msgspec.msgpack.encode(instance) == stored, "what came in was changed"
        return moved

    def commit(self, inputs: tuple[Input, ...]) -> None:
        """One worker's whole turn: decide, commit, tell the model, owe the effects."""
        moved = self.decide(self.stored, inputs)
        self.owed += [one for one in moved.commands if one not in self.owed]
        if not moved.changed:
            # What the engine thinks nothing of is to mean nothing to the model either.
            self.tell(inputs)
            return
        self.stale.append(self.stored)
        self.stored = msgspec.msgpack.encode(moved.instance)
        if moved.context is not None:
            self.contexts[moved.instance.context_version] = msgspec.msgpack.encode(moved.context)
        self.tell(inputs)

    def tell(self, inputs: tuple[Input, ...]) -> None:
        if self.model is None:
            self.model = PlainRun(self.graph, (JOURNEY, 7), self.user, self.now_ms)
            return
        for told in inputs:
            if isinstance(told, Occurred | Done):
                self.model.tell(told, self.now_ms)
        self.model.now_ms = self.now_ms
        self.model.check_bounds()
        self.model.tell(self.now_ms, self.now_ms)

    def carry_out(self, command: Command) -> None:
        if isinstance(command, Send | Ask):
            ident = command.notification_id if isinstance(command, Send) else command.effect_id
            place = (command.step, command.visit, command.rung)
            assert self.effects.setdefault(ident, place) == place, "two effects have one id"


class JourneyMachine(RuleBasedStateMachine):
    """One run, workers that die, and a user who does things."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.number = 0

    @initialize(definition=definitions(), vip=st.booleans())
    def begin(self, definition: dict[str, Any], *, vip: bool) -> None:
        self.world.enter(definition, vip=vip)

    @precondition(lambda self: not self.world.is_active)
    @rule(definition=definitions(), vip=st.booleans())
    def another_begins(self, definition: dict[str, Any], *, vip: bool) -> None:
        now_ms, self.world = self.world.now_ms, World()
        self.world.now_ms = now_ms
        self.world.enter(definition, vip=vip)

    # ------------------------------------------------------------------------------------------------------- rules

    @precondition(lambda self: self.world.is_active)
    @rule(span_s=st.sampled_from([1, 30, 601, 7_300, 90_000, 300_000]))
    def time_passes(self, span_s: int) -> None:
        self.world.now_ms += span_s * 1000
        if self.world.instance.due_ms <= self.world.now_ms:
            self.world.commit((Due(),))

    @precondition(lambda self: self.world.is_active)
    @rule(name=events)
    def she_does_something(self, name: str) -> None:
        self.number += 1
        self.world.now_ms += 1
        event = Occurred(
            self.number.to_bytes(16, "big"), name, self.world.now_ms, self.world.now_ms, {"n": self.number}
        )
        self.world.commit((event,))
        before = self.world.stored
        self.world.commit((event,))
        assert (
            self.world.instance.progress.seen == msgspec.msgpack.decode(before, type=Instance).progress.seen
        )

    @precondition(lambda self: bool(self.world.owed))
    @rule(
        outcome=st.sampled_from(["queued", "queued", "blocked", "error", "error", "final"]),
        twice=st.booleans(),
    )
    def an_effect_is_answered(self, outcome: str, *, twice: bool) -> None:
        command = self.world.owed.pop(0)
        for _ in range(1 + twice):
            self.world.carry_out(command)
        if isinstance(command, Recall):
            return
        self.world.now_ms += 1
        is_message = isinstance(command, Send)
        done = Done(
            command.step,
            command.visit,
            command.rung,
            result=outcome if outcome in {"queued", "blocked"} and is_message else "",
            error="broke" if outcome in {"error", "final"} else "",
            final=outcome == "final",
        )
        self.world.commit((done,))
        self.world.commit((done,))  # a second worker brings the same answer

    @precondition(lambda self: self.world.is_active)
    @rule()
    def a_worker_dies_before_it_commits(self) -> None:
        self.world.decide(self.world.stored, (Due(),))

    @precondition(lambda self: bool(self.world.owed))
    @rule()
    def a_worker_dies_after_it_committed(self) -> None:
        self.world.owed.clear()
        self.world.commit((Due(),))
        if self.world.instance.status == "active" and self.world.instance.progress.phase == ASKED:
            assert any(not isinstance(one, Recall) for one in self.world.owed), "nobody asks for it any more"

    @precondition(lambda self: bool(self.world.stale))
    @rule(data=st.data())
    def a_zombie_decides_on_an_old_state(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.world.stale[-5:]))
        moved = self.world.decide(old, (Due(),))
        # The store refuses it: its run stands further on.
        assert not moved.changed or moved.instance.seq <= self.world.instance.seq

    # -------------------------------------------------------------------------------------------------- invariants

    @invariant()
    def stands_where_the_model_stands(self) -> None:
        if not self.world.stored or self.world.model is None:
            return
        instance = self.world.instance
        assert instance.status == self.world.model.status, (instance, self.world.model.step)
        assert set(instance.progress.goals) == self.world.model.goals
        if instance.status == "active":
            assert instance.step == self.world.model.step
            assert instance.due_ms <= NEVER

    @invariant()
    def asks_for_each_effect_once(self) -> None:
        if not self.world.stored or self.world.model is None:
            return
        assert len(set(self.world.model.asked)) == len(self.world.model.asked)
        places = list(self.world.effects.values())
        assert len(set(places)) == len(places), "one effect has two ids"
        assert set(places) <= set(self.world.model.asked)


JourneyMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("CLARION_MACHINE_EXAMPLES", "120")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestJourneyMachine = JourneyMachine.TestCase
