"""What a journey comes to: how many came to each step, how many went on, how long it took, and who reached its goals.

Counts are exact and kept for ever (by step and day). What needs the way of a single run (medians, the goals of an arm)
is taken from a sample of the latest runs, and says of how many.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from clarion.journeys.graph import GoalSpec, Graph, SplitSpec
from clarion.journeys.model import Instance, Progress
from clarion.journeys.ports import StepCount

SAMPLE: Final = 2_000
"""Latest runs that medians and arms are taken from."""

ENDS: Final = ("completed", "exited", "failed", "stopped")
TEST_PREFIX: Final = "test:"
"""Before the words under which runs of tests are counted."""


class StepInsight(msgspec.Struct, frozen=True):
    """What a step came to.

    `entered` = `done` + `skipped` + `failed` + `dropped` + those there now. `dropped`: whose run ended there before the
    step was done. `results`: how visits ended: arms, ways of a branch, events, time-outs. `mean_ms`, `median_ms`: time
    at the step, None where nobody has left it; the median is that of the sample.
    """

    step: str
    entered: int
    done: int
    skipped: int
    failed: int
    dropped: int
    waiting: int
    drop_off: float
    results: dict[str, int]
    mean_ms: int | None
    median_ms: int | None


class GoalInsight(msgspec.Struct, frozen=True):
    """Runs that reached a goal, their share of all runs, and how long that took on average."""

    name: str
    reached: int
    conversion: float
    mean_ms: int | None


class ArmInsight(msgspec.Struct, frozen=True):
    """One arm of a split, in the sample: its runs, and those that reached each goal."""

    step: str
    arm: str
    is_holdout: bool
    runs: int
    goals: dict[str, int]


class Insight(msgspec.Struct, frozen=True):
    """A journey in numbers. `ends`: runs by how they ended. `sample`: runs behind medians and arms."""

    entered: int
    active: int
    ends: dict[str, int]
    mean_run_ms: int | None
    steps: list[StepInsight]
    goals: list[GoalInsight]
    arms: list[ArmInsight]
    sample: int


class _Tally(msgspec.Struct):
    n: int = 0
    took_ms: int = 0

    def mean_ms(self) -> int | None:
        return round(self.took_ms / self.n) if self.n else None


def summarize(
    graph: Graph | None, counts: Iterable[StepCount], waiting: Mapping[str, int], sample: Sequence[Instance]
) -> Insight:
    """A journey in numbers, of live runs or of tests: see `of_environment`.

    `graph`: the live version, which gives steps their order and splits their arms; steps of older versions follow.
    `waiting`: active runs by step.
    """
    tallies: dict[tuple[str, str], _Tally] = {}
    totals: dict[str, _Tally] = {}
    for one in counts:
        for tally in (
            tallies.setdefault((one.step, one.what), _Tally()),
            totals.setdefault(one.what, _Tally()),
        ):
            tally.n += one.n
            tally.took_ms += one.took_ms
    entered = _of(totals, "entered").n
    medians = _medians(run.progress for run in sample)
    ended = [_of(totals, end) for end in ENDS]
    lasted = _Tally(sum(one.n for one in ended), sum(one.took_ms for one in ended))
    return Insight(
        entered=entered,
        active=sum(waiting.values()),
        ends={end: _of(totals, end).n for end in ENDS},
        mean_run_ms=lasted.mean_ms(),
        steps=[
            _step(step, tallies, waiting.get(step, 0), medians.get(step)) for step in _order(graph, tallies)
        ],
        goals=[_goal(name, tally, entered) for name, tally in _goals(graph, totals).items()],
        arms=[] if graph is None else _arms(graph, sample),
        sample=len(sample),
    )


def of_environment(counts: Iterable[StepCount], *, is_test: bool) -> list[StepCount]:
    """The counts of live runs, or those of tests under the words of live ones."""
    if is_test:
        return [
            msgspec.structs.replace(one, what=one.what.removeprefix(TEST_PREFIX))
            for one in counts
            if one.what.startswith(TEST_PREFIX)
        ]
    return [one for one in counts if not one.what.startswith(TEST_PREFIX)]


def _of(totals: Mapping[str, _Tally], what: str) -> _Tally:
    return totals.get(what) or _Tally()


def _order(graph: Graph | None, tallies: Mapping[tuple[str, str], _Tally]) -> list[str]:
    known = [] if graph is None else list(graph.steps)
    return list(dict.fromkeys([*known, *sorted({step for step, _ in tallies if step})]))


def _step(
    step: str, tallies: Mapping[tuple[str, str], _Tally], waiting: int, median_ms: int | None
) -> StepInsight:
    def of(what: str) -> _Tally:
        return tallies.get((step, what)) or _Tally()

    entered, done, skipped, failed = (
        of(f"step_{what}").n for what in ("entered", "done", "skipped", "failed")
    )
    # Who came and is neither there nor went on has left there. Of a part of all days it may be less than none.
    dropped = max(0, entered - done - skipped - failed - waiting)
    left = _Tally(
        done + skipped + failed, sum(of(f"step_{what}").took_ms for what in ("done", "skipped", "failed"))
    )
    prefix = "step_done:"
    return StepInsight(
        step=step,
        entered=entered,
        done=done,
        skipped=skipped,
        failed=failed,
        dropped=dropped,
        waiting=waiting,
        drop_off=round(dropped / entered, 4) if entered else 0.0,
        results={
            what.removeprefix(prefix): tally.n
            for (at, what), tally in sorted(tallies.items())
            if at == step and what.startswith(prefix)
        },
        mean_ms=left.mean_ms(),
        median_ms=median_ms,
    )


def _goals(graph: Graph | None, totals: Mapping[str, _Tally]) -> dict[str, _Tally]:
    prefix = "goal:"
    names: set[str] = set()
    if graph is not None:
        names = {goal.name for goal in graph.goals}
        names |= {step.spec.name for step in graph.steps.values() if isinstance(step.spec, GoalSpec)}
    names |= {what.removeprefix(prefix) for what in totals if what.startswith(prefix)}
    return {name: _of(totals, f"{prefix}{name}") for name in sorted(names)}


def _goal(name: str, tally: _Tally, entered: int) -> GoalInsight:
    return GoalInsight(name, tally.n, round(tally.n / entered, 4) if entered else 0.0, tally.mean_ms())


def _medians(progresses: Iterable[Progress]) -> dict[str, int]:
    """The median time at each step: from coming to it to coming to the next one, or to the end."""
    spans: defaultdict[str, list[int]] = defaultdict(list)
    for progress in progresses:
        at: tuple[str, int] | None = None
        for entry in progress.trail:
            if entry.what == "arrived" or entry.what in ENDS:
                if at is not None:
                    spans[at[0]].append(entry.at_ms - at[1])
                at = (entry.step, entry.at_ms) if entry.what == "arrived" else None
    return {step: round(median(took)) for step, took in spans.items()}


def _arms(graph: Graph, sample: Sequence[Instance]) -> list[ArmInsight]:
    arms: list[ArmInsight] = []
    for step in graph.steps.values():
        if not isinstance(step.spec, SplitSpec):
            continue
        taken: defaultdict[str, list[Progress]] = defaultdict(list)
        for run in sample:
            outcome = run.progress.outcomes.get(step.id)
            if outcome is not None:
                taken[outcome.result].append(run.progress)
        for arm in step.spec.arms:
            goals = Counter(goal for progress in taken[arm.name] for goal in progress.goals)
            arms.append(
                ArmInsight(
                    step.id, arm.name, arm.is_holdout, len(taken[arm.name]), dict(sorted(goals.items()))
                )
            )
    return arms
