"""`journey_simulate`: how long ten thousand users take over thirty days, by `journeys.rehearsal`.

The journey is `examples/journeys/onboarding.yaml` with users of seven places and four clocks, who do what people do:
half of those who read a message make their first project, and some do so by themselves. The second figure is the
same rehearsal with everybody entering at one instant, which is the engine without the pace of the days.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec.structs import replace

from bench.harness import Result, finish, say
from clarion.journeys.compile import compile_journey
from clarion.journeys.rehearsal import Scenario, rehearse
from clarion.journeys.rehearsal.stage import make_config, set_stage
from clarion.journeys.rehearsal.words import HabitWords, RehearsalWords, TenantWords

BAR_S: Final = 30.0
USERS: Final = 10_000
DAYS: Final = 30.0

JOURNEY: Final = Path(__file__).parent.parent / "examples" / "journeys" / "onboarding.yaml"


def make_scenario() -> Scenario:
    """Ten thousand users over thirty days, the same each time."""
    compiled = compile_journey(yaml.safe_load(JOURNEY.read_text("utf-8")))
    if compiled.graph is None:
        raise RuntimeError(compiled.findings)
    words = RehearsalWords(
        users=USERS,
        days=DAYS,
        start="2026-11-23T09:00:00+00:00",
        habits=[
            HabitWords("project_created", after="engaged", share=0.5, within="2h"),
            HabitWords("project_created", per_day=0.02),
            HabitWords("account_closed", per_day=0.001),
        ],
        spread="10 days",
        details=["user-1"],
    )
    return set_stage(compiled.graph, make_config(compiled.graph, TenantWords()), words, 0)


def run() -> Result:
    """The rehearsal, with its setting and its result, by the wall."""
    scenario = make_scenario()
    spans: list[float] = []
    for told in (scenario, replace(scenario, spread_ms=0)):
        began = time.perf_counter()
        result = rehearse(told)
        spans.append(time.perf_counter() - began)
        say(f"{result.entered:,} runs, {result.sent:,} messages in {spans[-1]:.1f} s")
    value, at_once = spans
    detail: dict[str, Any] = {
        "users": USERS,
        "days": DAYS,
        "messages": result.sent,
        "steps": sum(figures.entered for figures in result.steps.values()),
        "all_at_one_instant_s": round(at_once, 2),
    }
    return finish(
        Result("journey_simulate", round(value, 2), "s", f"< {BAR_S:g} s", value < BAR_S, detail=detail)
    )
