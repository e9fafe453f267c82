"""The compiler of definitions answers anything with findings, soon, and what it lets through can run."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.journeys.compile import Compiled, compile_journey
from clarion.journeys.durations import MAX_SPAN_MS, read_span, write_span
from clarion.journeys.findings import MAX_FINDINGS
from clarion.journeys.graph import END
from clarion.journeys.known import Known, KnownTemplate
from clarion.journeys.reach import ways_of
from clarion.journeys.reading.fields import is_object
from clarion.journeys.reading.kinds import KINDS
from tests.unit.journeys.definitions import SOUND

SOON_S = 1.0

WORDS = st.sampled_from(
    [
        *(
            "24h",
            "2 days",
            "09:00",
            "monday",
            "user.trial_ends_at",
            "-3d",
            "P1DT2H",
            "email",
            "sms",
            "in_app",
            "optimal",
        ),
        *(
            "welcome",
            "nurture",
            "next",
            "end",
            "else",
            "purchase",
            "otp_verified",
            "user.plan == 'pro'",
            "!done",
            "a > 1",
        ),
        *(
            "1 / 0 == 1",
            "a ==",
            "@daily",
            "0 9 * * 1",
            "never",
            "once",
            "30d",
            "user",
            "Europe/Paris",
            "Mars/Olympus",
            "",
        ),
        *("https://example.com/x", "true", "a", "b", "retry", "x" * 3_000),
    ]
)
NAMES = st.sampled_from(
    [
        *(
            "id",
            "step_id",
            "name",
            "type",
            "delay",
            "condition",
            "if",
            "then",
            "else",
            "goto",
            "next",
            "steps",
            "event",
        ),
        *(
            "match",
            "timeout",
            "on_timeout",
            "on_event",
            "conditions",
            "branches",
            "arms",
            "weight",
            "holdout",
            "until",
        ),
        *(
            "weekday",
            "timezone",
            "offset",
            "attribute",
            "hours",
            "value",
            "unit",
            "template",
            "channels",
            "channel",
        ),
        *(
            "fallback",
            "after",
            "success_metric",
            "category",
            "optimization",
            "priority",
            "data",
            "url",
            "headers",
            "into",
        ),
        *(
            "attributes",
            "journey",
            "reason",
            "limit",
            "per",
            "scope",
            "rate",
            "window",
            "most",
            "on_error",
            "retries",
        ),
        *(
            "trigger",
            "segment",
            "cron",
            "audience_rules",
            "exit_conditions",
            "goals",
            "settings",
            "reentry",
            "config",
        ),
        *(
            "field",
            "operator",
            "all",
            "any",
            "not",
            "policy",
            "of_step",
            "for",
            "wait",
            "max_duration",
            "sends_per_day",
        ),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(-1e12, 1e12),
    WORDS,
    st.text(max_size=20),
    st.sampled_from(sorted(KINDS)),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=12,
)


def make_step(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A step of a kind that there is, with any fields."""
    return {"type": kind, **fields}


def make_definition(steps: list[Any], fields: dict[str, Any]) -> dict[str, Any]:
    """A definition with any fields and steps."""
    return {"name": "fuzzed", **fields, "steps": steps}


STEPS = st.builds(
    make_step,
    st.sampled_from([*sorted(KINDS), "email", "sms", "in_app"]),
    st.dictionaries(NAMES, VALUES, max_size=8),
)
DEFINITIONS = st.builds(
    make_definition,
    st.lists(st.one_of(STEPS, VALUES), max_size=6),
    st.dictionaries(NAMES, VALUES, max_size=6),
)
KNOWN = Known(
    {"welcome": KnownTemplate(frozenset({"email"}))}, frozenset({"news"}), frozenset(), frozenset({"vips"})
)


def check_sound(compiled: Compiled) -> None:
    """Hold an answer to its promises."""
    has_errors = any(finding.level == "error" for finding in compiled.findings)
    assert (compiled.graph is None) == has_errors
    assert len(compiled.findings) <= MAX_FINDINGS + 1
    assert all(finding.message and len(finding.message) < 600 for finding in compiled.findings)
    if compiled.graph is not None:
        steps = compiled.graph.steps
        assert compiled.graph.first in steps
        assert all(way == END or way in steps for step in steps.values() for way in ways_of(step))


@given(DEFINITIONS)
@settings(max_examples=80, deadline=None)
def test_any_definition_is_answered_with_a_graph_or_with_errors(raw: dict[str, Any]) -> None:
    check_sound(compile_journey(raw, KNOWN))


@st.composite
def bent(draw: st.DrawFn) -> dict[str, Any]:
    """A sound definition in which one value is another."""
    raw = copy.deepcopy(SOUND[draw(st.sampled_from(sorted(SOUND)))])
    at: Any = raw
    while True:
        keys: list[Any] = list(at) if is_object(at) else list(range(len(at)))
        key: Any = draw(st.sampled_from(keys))
        inner: Any = at[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 4)) == 0:
            at[key] = draw(VALUES)
            return raw
        at = at[key]


@given(bent())
@settings(max_examples=150, deadline=None)
def test_a_sound_definition_bent_at_one_place_is_answered(raw: dict[str, Any]) -> None:
    check_sound(compile_journey(raw, KNOWN))


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_any_json_at_all_is_answered(raw: object) -> None:
    check_sound(compile_journey(raw))


@given(st.integers(0, MAX_SPAN_MS // 1000).map(lambda s: s * 1000))
def test_a_span_is_read_as_it_is_written(span_ms: int) -> None:
    assert read_span("0" if span_ms == 0 else write_span(span_ms)) == span_ms


def nest(levels: int) -> dict[str, Any]:
    """A definition of branches within branches."""
    step: dict[str, Any] = {"type": "exit"}
    for _ in range(levels):
        step = {"type": "branch", "conditions": [{"if": "a > 1", "steps": [step]}]}
    return {"name": "deep", "steps": [step]}


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "long", "steps": [{"type": "delay", "delay": "1h"}] * 10_000},
        nest(100),
        nest(30),
        {
            "name": "wide",
            "steps": [{"type": "webhook", "url": "https://a.example", "body": {"a": [0] * 100_000}}],
        },
        {"name": "dull", "steps": [{"type": "delay", "delay": "1h", "id": "same"}] * 1_000},
        {"name": "odd", "steps": [{f"field {i}": i for i in range(20_000)}]},
    ],
    ids=["10 000 steps", "100 levels", "30 levels", "large", "all of one id", "20 000 unknown fields"],
)
def test_what_is_too_much_is_refused_at_once(raw: dict[str, Any]) -> None:
    before = time.process_time()

    compiled = compile_journey(raw)

    assert time.process_time() - before < SOON_S
    assert compiled.graph is None
    check_sound(compiled)


def test_a_thousand_steps_compile_soon() -> None:
    steps = [
        {"id": f"s{i}", "type": "branch", "conditions": [{"if": f"a{i} > {i}", "goto": f"s{(i * 7) % 1000}"}]}
        for i in range(1_000)
    ]
    before = time.process_time()

    compiled = compile_journey({"name": "large", "steps": steps})

    assert time.process_time() - before < SOON_S
    assert compiled.graph is not None
