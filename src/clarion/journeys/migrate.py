"""Moving runs to another version: what becomes of each step, of each run there, and how it is taken back.

A run is moved between two transitions, by the same compare-and-set. One whose effect is under way is moved when the
answer is there. Nobody is led back in silence: where a step is gone, a run goes on at the nearest step after it that it
has not been to yet, and where there is none it ends.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast

import msgspec
from msgspec.structs import replace

from clarion.contracts.journey_events import JourneyEvent, JourneyEventType, derive_journey_event_id
from clarion.journeys.conditions import Condition
from clarion.journeys.graph import END, Graph, NotificationSpec, Step
from clarion.journeys.model import ARRIVED, ASKED, WAITING, Instance, Moved, Outcome, Progress, Trail
from clarion.journeys.reach import ways_of
from clarion.journeys.timeline import KEPT
from clarion.kernel.errors import Invalid

How: TypeAlias = Literal["same", "mapped", "successor", "exit"]

EXIT_REASON: Final = "migrated"
"""Why runs end whose step has nothing that follows it in the new version."""


class Way(msgspec.Struct, frozen=True):
    """Where runs at a step go. `to`: candidates, nearest first; the first that a run has not been to is taken.

    `same`: the step is there; who waits goes on waiting as long as it was told. `mapped`: somebody said so.
    """

    how: How
    to: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """What becomes of each step of the old version, and how the new one differs: ids of steps."""

    ways: dict[str, Way]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Stand(msgspec.Struct, frozen=True, array_like=True):
    """Where a run stood before it was moved: what takes it back. `to_step`, `to_visit`: where it was put."""

    step: str
    phase: int
    visit: int
    arrived_ms: int
    asked_ms: int
    rung: int
    tries: int
    until_ms: int
    came_ms: int
    due_ms: int
    to_step: str
    to_visit: int


class Target(msgspec.Struct, frozen=True):
    """A version to move to."""

    version: int
    graph: Graph


def plan_migration(before: Graph, after: Graph, mapped: Mapping[str, str | None]) -> Plan:
    """What becomes of each step. `mapped`: old step → new step, or None for the exit.

    Raises Invalid where it names a step that is in neither version.
    """
    for step, goal in mapped.items():
        if step not in before.steps:
            raise Invalid(f"version to be left has no step {step!r}", "steps")
        if goal is not None and goal not in after.steps:
            raise Invalid(f"the new version has no step {goal!r}", f"steps.{step}")
    return Plan(
        ways={step: _way(step, before, after, mapped) for step in before.steps},
        added=tuple(step for step in after.steps if step not in before.steps),
        removed=tuple(step for step in before.steps if step not in after.steps),
        changed=tuple(
            step
            for step, drawn in before.steps.items()
            if step in after.steps and _differs(drawn, after.steps[step])
        ),
    )


def _way(step: str, before: Graph, after: Graph, mapped: Mapping[str, str | None]) -> Way:
    if step in mapped:
        goal = mapped[step]
        return Way("exit") if goal is None else Way("mapped", (goal,))
    if step in after.steps:
        return Way("same", (step,))
    found = _successors(step, before, after, mapped)
    return Way("successor", found) if found else Way("exit")


def _successors(step: str, before: Graph, after: Graph, mapped: Mapping[str, str | None]) -> tuple[str, ...]:
    """Steps of the new version that follow a step of the old one, nearest first."""
    found: dict[str, None] = {}
    seen, waiting = {step}, deque(ways_of(before.steps[step]))
    while waiting:
        at = waiting.popleft()
        if at in seen or at == END or at not in before.steps:
            continue
        seen.add(at)
        goal = mapped.get(at, at)
        if goal is not None and goal in after.steps:
            found[goal] = None
        else:
            waiting.extend(ways_of(before.steps[at]))
    return tuple(found)


def _differs(one: Step, other: Step) -> bool:
    """Whether a step does something else, whatever place it has in the definition."""
    return _shape(one) != _shape(other)


def _shape(step: Step) -> object:
    return _plain(replace(step, path="", needs=0)), type(step.spec)


def _plain(value: object) -> object:
    """A compiled part without places: of a condition its text."""
    if isinstance(value, Condition):
        return value.text
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    return value


def is_in_share(journey_id: bytes, to_version: int, user_id: int, percent: int) -> bool:
    """Whether a user belongs to the first `percent` of all: the same ones each time, so that a share can grow."""
    clear = b"%b%d:%d" % (journey_id, to_version, user_id)
    return int.from_bytes(hashlib.blake2b(clear, digest_size=4).digest(), "big") % 100 < percent


def place_of(run: Instance, plan: Plan) -> str | None:
    """The step at which a run goes on in the new version; None: it ends."""
    if not run.step:
        return ""
    way = plan.ways.get(run.step)
    if way is None or way.how == "exit":
        return None
    if way.how == "successor":
        return next((step for step in way.to if not run.progress.visits.get(step)), None)
    return way.to[0]


def move(run: Instance, step: str, before: Graph, target: Target, now_ms: int) -> tuple[Moved, Stand] | None:
    """A run at its place in another version, and what takes it back. None: not now, its effect is under way.

    At the same step it stays as it is; a step of another kind, or another step, is begun anew.
    """
    progress = run.progress
    if run.status != "active" or progress.phase == ASKED:
        return None
    if step == run.step and _is_alike(step, before, target.graph):
        if not _has_room(run, target.graph):
            return None
        return _settled(run, step, progress, target.version, now_ms), _stand(run, step, progress.visit)
    visit = progress.visits.get(step, 0) + 1
    begun = replace(
        progress,
        phase=ARRIVED,
        visit=visit,
        arrived_ms=now_ms,
        came_ms=progress.arrived_ms,
        asked_ms=0,
        rung=0,
        tries=0,
        until_ms=0,
        moves=progress.moves + 1,
        visits={**progress.visits, step: visit},
        outcomes={**progress.outcomes, run.step: _left(progress, run.step, now_ms)},
    )
    return _settled(replace(run, due_ms=now_ms), step, begun, target.version, now_ms), _stand(
        run, step, visit
    )


def move_back(run: Instance, stand: Stand, before: Graph, target: Target, now_ms: int) -> Moved | None:
    """A run back in the version that it came from (`before` is the one it is in). None: it cannot be taken back now.

    Where it has done nothing since, it stands where it stood. Where it went on, it goes on at the step of the same name
    and kind; where there is none it stays.
    """
    progress = run.progress
    if run.status != "active" or progress.phase == ASKED:
        return None
    put, stood = (stand.to_step, stand.to_visit), (stand.step, stand.visit)
    is_untouched = (run.step, progress.visit) == put and not progress.asked_ms
    if put != stood and is_untouched and stand.step in target.graph.steps:
        visits = {**progress.visits, run.step: progress.visit - 1}
        back = replace(
            progress,
            phase=stand.phase,
            visit=stand.visit,
            arrived_ms=stand.arrived_ms,
            asked_ms=stand.asked_ms,
            rung=stand.rung,
            tries=stand.tries,
            until_ms=stand.until_ms,
            came_ms=stand.came_ms,
            visits={name: n for name, n in visits.items() if n},
        )
        return _settled(replace(run, due_ms=stand.due_ms), stand.step, back, target.version, now_ms)
    if not run.step or (_is_alike(run.step, before, target.graph) and _has_room(run, target.graph)):
        return _settled(run, run.step, progress, target.version, now_ms)
    return None


def _is_alike(step: str, before: Graph, after: Graph) -> bool:
    """Whether a step of both is of one kind, so that what a run has done there still means something."""
    if not step:
        return True
    one, other = before.steps.get(step), after.steps.get(step)
    return one is not None and other is not None and type(one.spec) is type(other.spec)


def _has_room(run: Instance, after: Graph) -> bool:
    """Whether the new version has the channel that a run is at; if not, it stays until it has left the step."""
    step, progress = after.steps.get(run.step), run.progress
    if step is None or not isinstance(step.spec, NotificationSpec):
        return True
    return progress.rung + (progress.phase == WAITING) <= len(step.spec.rungs)


def _stand(run: Instance, to_step: str, to_visit: int) -> Stand:
    progress = run.progress
    return Stand(
        run.step,
        progress.phase,
        progress.visit,
        progress.arrived_ms,
        progress.asked_ms,
        progress.rung,
        progress.tries,
        progress.until_ms,
        progress.came_ms,
        run.due_ms,
        to_step,
        to_visit,
    )


def _left(progress: Progress, step: str, now_ms: int) -> Outcome:
    """How a visit ended that the migration cut short. What it asked for stays known, so that it can be taken back."""
    was = progress.outcomes.get(step)
    if was is not None and was.visit == progress.visit:
        return replace(was, result="migrated")
    return Outcome(progress.visit, progress.asked_ms or now_ms, "migrated")


def _settled(run: Instance, step: str, progress: Progress, version: int, now_ms: int) -> Moved:
    """The transition: told in the timeline and to the log."""
    detail = f"version {run.version}, step {run.step}" if step != run.step else f"version {run.version}"
    told = replace(progress, trail=list(progress.trail))
    told.trail.append(Trail(step, told.visit, "migrated", now_ms, detail))
    types: list[JourneyEventType] = ["migrated"]
    if (step, told.visit) != (run.step, run.progress.visit) and told.phase == ARRIVED:
        told.trail.append(Trail(step, told.visit, "arrived", now_ms))
        types.append("step_entered")
    dropped = max(0, len(told.trail) - KEPT)
    del told.trail[:dropped]
    told.trail_dropped += dropped
    moved = replace(run, version=version, step=step, seq=run.seq + 1, progress=told)
    return Moved(
        moved, changed=True, events=tuple(_event(moved, kind, place) for place, kind in enumerate(types))
    )


def _event(moved: Instance, kind: JourneyEventType, place: int) -> JourneyEvent:
    progress = moved.progress
    return JourneyEvent(
        event_id=derive_journey_event_id(moved.instance_id, moved.seq, place),
        type=kind,
        at_ms=progress.trail[-1].at_ms,
        tenant_id=moved.tenant_id,
        journey_id=moved.journey_id,
        version=moved.version,
        instance_id=moved.instance_id,
        user_id=moved.user_id,
        step=moved.step,
        visit=progress.visit,
        is_test=moved.is_test,
    )
