"""A journey in numbers: what counts and a sample of runs come to."""

from __future__ import annotations

from typing import Any

from clarion.journeys.advance import advance
from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.insight import of_environment, summarize
from clarion.journeys.model import Due, Instance, Progress, Turn
from clarion.journeys.ports import StepCount

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def graph() -> Graph:
    steps: list[dict[str, Any]] = [
        {
            "id": "ab",
            "type": "split",
            "arms": [
                {"name": "slow", "weight": 1, "goto": "wait"},
                {"name": "none", "weight": 1, "goto": "end"},
            ],
        },
        {"id": "wait", "type": "delay", "duration": "1d"},
        {"id": "won", "type": "goal", "name": "bought"},
        {"id": "end", "type": "exit"},
    ]
    compiled = compile_journey({"name": "j", "trigger": {"type": "api"}, "steps": steps})
    assert compiled.graph is not None, compiled.findings
    return compiled.graph


def run(drawn: Graph, user_id: int, hours: int) -> Instance:
    """A run that was looked at again after so many hours."""
    instance = Instance(
        instance_id=user_id.to_bytes(16, "big"),
        tenant_id=bytes(16),
        journey_id=bytes(16),
        version=1,
        user_id=user_id,
        region="eu",
        is_test=False,
        status="active",
        seq=0,
        step="",
        due_ms=NOW_MS,
        progress=Progress(),
        context_version=0,
        entered_ms=NOW_MS,
    )
    for now_ms in (NOW_MS, NOW_MS + hours * 3_600_000):
        (moved,) = advance([Turn(instance, drawn, (Due(),))], now_ms)
        instance = moved.instance
    return instance


def test_steps_add_up():
    counts = [
        StepCount(1, "", "entered", 10, 0),
        StepCount(1, "wait", "step_entered", 8, 0),
        StepCount(1, "wait", "step_done", 5, 5 * DAY_MS),
        StepCount(2, "wait", "step_done", 1, DAY_MS),
        StepCount(1, "wait", "step_done:done", 6, 0),
        StepCount(1, "wait", "exited", 1, DAY_MS),
        StepCount(1, "won", "goal", 4, 0),
        StepCount(1, "won", "goal:bought", 4, 8 * DAY_MS),
        StepCount(1, "gone", "step_entered", 2, 0),
    ]
    told = summarize(graph(), counts, {"wait": 1}, [])

    assert (told.entered, told.active, told.ends["exited"], told.mean_run_ms) == (10, 1, 1, DAY_MS)
    assert [step.step for step in told.steps] == ["ab", "wait", "won", "end", "gone"]
    wait = told.steps[1]
    assert (wait.entered, wait.done, wait.waiting, wait.dropped) == (8, 6, 1, 1)
    assert wait.entered == wait.done + wait.skipped + wait.failed + wait.waiting + wait.dropped
    assert (wait.drop_off, wait.results, wait.mean_ms) == (0.125, {"done": 6}, DAY_MS)
    (goal,) = told.goals
    assert (goal.name, goal.reached, goal.conversion, goal.mean_ms) == ("bought", 4, 0.4, 2 * DAY_MS)


def test_medians_and_arms_are_those_of_the_sample():
    drawn = graph()
    runs = [run(drawn, user_id, 24 + user_id % 3) for user_id in range(60)]
    told = summarize(drawn, [], {}, runs)

    wait = next(step for step in told.steps if step.step == "wait")
    assert wait.median_ms is not None
    assert 24 * 3_600_000 <= wait.median_ms <= 26 * 3_600_000
    slow, none = told.arms
    assert (slow.arm, slow.runs + none.runs, told.sample) == ("slow", 60, 60)
    assert (slow.goals, none.goals) == ({"bought": slow.runs}, {})


def test_tests_are_counted_apart():
    counts = [StepCount(1, "", "entered", 3, 0), StepCount(1, "", "test:entered", 2, 0)]
    assert [one.n for one in of_environment(counts, is_test=False)] == [3]
    assert [(one.what, one.n) for one in of_environment(counts, is_test=True)] == [("entered", 2)]


def test_a_journey_without_anybody_divides_by_nothing():
    told = summarize(graph(), [], {}, [])
    assert told.mean_run_ms is None
    assert all(step.drop_off == 0.0 and step.mean_ms is None for step in told.steps)
    assert told.goals[0].conversion == 0.0
