"""A run while it is advanced: a working copy of its state, with what it asks for and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec.structs import replace

from clarion.contracts.journey_events import JourneyEvent, JourneyEventType, derive_journey_event_id
from clarion.journeys.conditions import Condition, Scope, Verdict
from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.graph import END, MAX_VISITS, Graph, NotificationSpec, Step
from clarion.journeys.model import (
    ARRIVED,
    NEVER,
    Command,
    Context,
    Facts,
    Instance,
    Moved,
    Outcome,
    Progress,
    Recall,
    Status,
    Trail,
    Turn,
)
from clarion.journeys.timeline import KEPT

KNOWN_EVENTS: Final = 32
"""Ids of events that a run remembers, to know a repeat. The log repeats within seconds."""

_SECOND: Final = 2
"""The visit before which there was but one."""

_NOTHING: Final[dict[str, Any]] = {}

RANKS: Final = {
    "sent": frozenset({"sent", "delivered", "engaged"}),
    "delivered": frozenset({"delivered", "engaged"}),
    "engaged": frozenset({"engaged"}),
    "failed": frozenset({"failed", "expired", "blocked", "cancelled"}),
}
"""Which statuses of a message meet a wish for one of these."""


class Run:
    """The working copy of one turn. Nothing of what came in is changed."""

    def __init__(self, turn: Turn, now_ms: int) -> None:
        was = turn.instance.progress
        self.before = turn.instance
        self.graph: Graph = turn.graph
        self.facts: Facts = turn.facts
        self.now_ms = now_ms
        self.status: Status = turn.instance.status
        self.step = turn.instance.step
        self.due_ms = turn.instance.due_ms
        self.reason = turn.instance.reason
        self.changed = False
        self.progress: Progress = replace(
            was,
            visits=dict(was.visits),
            seen=dict(was.seen),
            known=list(was.known),
            outcomes=dict(was.outcomes),
            goals=dict(was.goals),
            trail=list(was.trail),
        )
        self.commands: list[Command] = []
        self._events: list[JourneyEvent] = []
        self._context = turn.context
        self._context_changed = False
        self._told: set[str] = set()

    # ------------------------------------------------------------------------------------------------ what it knows

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return self.status == "active"

    @property
    def context(self) -> Context:
        """Its private context; empty where none was read."""
        if self._context is None:
            self._context = Context()
        return self._context

    def change_context(self) -> Context:
        """Its private context, to be changed: a copy, kept with the next commit."""
        if not self._context_changed:
            was = self.context
            self._context = Context(
                dict(was.data),
                dict(was.events),
                {name: list(items) for name, items in was.items.items()},
            )
            self._context_changed = self.changed = True
        return self.context

    def holds(self, condition: Condition) -> bool:
        """Whether a condition that is watched all the time holds now. Nothing is noted of it."""
        return condition.judge(self.scope(condition.roots)).holds

    def judge(self, condition: Condition, event: Mapping[str, Any] | None = None) -> Verdict:
        """Whether a condition holds now, on what is known of the run; `event`: properties of the one at hand."""
        verdict = condition.judge(self.scope(condition.roots, event))
        for name in verdict.unset:
            if name not in self._told:
                self._told.add(name)
                self.note("unset", name)
        if verdict.error:
            self.note("error", verdict.error)
        return verdict

    def scope(self, roots: frozenset[str], event: Mapping[str, Any] | None = None) -> Scope:
        """The values that names of these roots stand for."""
        scope: dict[str, Any] = {"user": self.facts.user, "features": self.facts.features}
        if "context" in roots:
            scope["context"] = self.context.data
        if "steps" in roots:
            scope["steps"] = {
                name: _tell_step(self, name, outcome) for name, outcome in self.progress.outcomes.items()
            }
        if "events" in roots:
            scope["events"] = {
                name: {
                    **self.context.events.get(name, _NOTHING),
                    "count": seen.count,
                    "first_ms": seen.first_ms,
                    "last_ms": seen.last_ms,
                }
                for name, seen in self.progress.seen.items()
            }
        if event is not None:
            scope["event"] = event
        return scope

    def lacks(self, roots: frozenset[str]) -> bool:
        """Whether something under these roots could not be read: what needs it is put off then, not guessed."""
        return not self.facts.missing.isdisjoint(roots)

    def message_status(self, step: str, visit: int) -> str:
        """The furthest status of a step's messages, as far as it was read ("": not known)."""
        return self.facts.messages.get((step, visit), "")

    # --------------------------------------------------------------------------------------------- what becomes of it

    def note(self, what: str, detail: str = "") -> None:
        """Add to its timeline. `detail`: no values, only names and words."""
        self.changed = True
        trail = self.progress.trail
        trail.append(Trail(self.step, self.progress.visit, what, self.now_ms, detail))
        if len(trail) > KEPT:
            del trail[: len(trail) - KEPT]
            self.progress.trail_dropped += 1

    def tell(self, kind: JourneyEventType, detail: str = "", took_ms: int = 0) -> None:
        """Tell the log of it."""
        self.changed = True
        before = self.before
        self._events.append(
            JourneyEvent(
                derive_journey_event_id(before.instance_id, before.seq + 1, len(self._events)),
                kind,
                self.now_ms,
                before.tenant_id,
                before.journey_id,
                before.version,
                before.instance_id,
                before.user_id,
                self.step,
                self.progress.visit,
                detail,
                took_ms,
                before.is_test,
            )
        )

    def arrive(self, step_id: str) -> None:
        """Come to a step, or to the end."""
        if step_id == END or step_id not in self.graph.steps:
            self.end("completed", "" if step_id == END else f"there is no step {step_id}")
            return
        progress = self.progress
        progress.moves += 1
        if progress.moves > MAX_VISITS:
            self.end("failed", "loop_guard")
            return
        self.step = step_id
        progress.visit = progress.visits[step_id] = progress.visits.get(step_id, 0) + 1
        # What a user does while her run is about to take its first step counts as done at that step.
        progress.came_ms = progress.arrived_ms if progress.moves > _SECOND else self.before.entered_ms
        progress.phase, progress.arrived_ms = ARRIVED, self.now_ms
        progress.asked_ms = progress.rung = progress.tries = progress.until_ms = 0
        self.due_ms = self.now_ms
        self.note("arrived")
        self.tell("step_entered")

    def leave(
        self, step: Step, result: str, goto: str | None = None, kind: JourneyEventType = "step_done"
    ) -> None:
        """End a visit and come to the next step; `goto` None: the one that follows."""
        progress = self.progress
        before = progress.outcomes.get(step.id)
        progress.outcomes[step.id] = Outcome(
            progress.visit,
            progress.asked_ms or self.now_ms,
            result,
            before.channels if before is not None and before.visit == progress.visit else 0,
            before.asked if before is not None and before.visit == progress.visit else (),
        )
        self.tell(kind, result, self.now_ms - progress.arrived_ms)
        self.arrive(step.next if goto is None else goto)

    def end(self, status: Status, reason: str, *, recall: bool = False) -> None:
        """End the run; with `recall` its messages that have not gone out are taken back."""
        word = "broken" if status == "failed" else status
        self.note(word, reason)
        self.status, self.reason, self.due_ms = status, reason, NEVER
        self.tell(cast("JourneyEventType", status), reason, self.now_ms - self.before.entered_ms)
        self.progress.takes_back = recall
        if recall:
            ids = tuple(_notification_ids(self.before.instance_id, self.progress, self.graph))
            if ids:
                self.commands.append(Recall(self.before, ids))

    def freeze(self) -> Moved:
        """What became of the turn."""
        before = self.before
        if not self.changed:
            return Moved(
                before if self.due_ms == before.due_ms else replace(before, due_ms=self.due_ms),
                changed=False,
                commands=tuple(self.commands),
            )
        instance: Instance = replace(
            before,
            status=self.status,
            seq=before.seq + 1,
            step=self.step,
            due_ms=self.due_ms,
            progress=self.progress,
            context_version=before.context_version + self._context_changed,
            ended_ms=0 if self.is_active else self.now_ms,
            reason=self.reason,
        )
        return Moved(
            instance,
            changed=True,
            # What an effect says may name what this very turn came to.
            commands=tuple([replace(command, instance=instance) for command in self.commands]),
            events=tuple(self._events),
            context=self.context if self._context_changed else None,
        )


def _notification_ids(instance_id: bytes, progress: Progress, graph: Graph) -> list[bytes]:
    """The ids of all messages that the last visits of a run's steps asked for."""
    ids: list[bytes] = []
    for name, outcome in progress.outcomes.items():
        step = graph.steps.get(name)
        if step is not None and isinstance(step.spec, NotificationSpec):
            ids += [
                effect_id(instance_id, name, outcome.visit, rung, at_ms)
                for rung, at_ms in enumerate(outcome.asked, OWN)
            ]
    return ids


def _tell_step(run: Run, name: str, outcome: Outcome) -> dict[str, Any]:
    """What `steps.NAME` says."""
    status = run.message_status(name, outcome.visit) or outcome.result
    items = run.context.items.get(name)
    said: dict[str, Any] = {
        "result": outcome.result,
        "status": status,
        "at_ms": outcome.at_ms,
        "visits": run.progress.visits.get(name, outcome.visit),
        **{wish: status in statuses for wish, statuses in RANKS.items()},
    }
    if items is not None:
        said |= {"items": items, "count": len(items)}
    return said
