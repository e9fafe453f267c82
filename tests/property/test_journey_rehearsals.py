"""Rehearsals of anything: whatever is asked for comes to its end or is refused, and its figures add up."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.rehearsal import Result, rehearse
from clarion.journeys.rehearsal.stage import make_config, set_stage
from clarion.journeys.rehearsal.words import RehearsalWords, TenantWords
from clarion.kernel.errors import Invalid

CHANNELS = st.sampled_from(["email", "push", "sms"])
EVENTS = st.sampled_from(["go", "read", "left"])
SPANS = st.sampled_from(["0s", "20m", "5h", "1d 3h", "9 days"])
SHARES = st.floats(0, 1)
TIMES = SPANS.map("+{}".format) | st.sampled_from(
    ["-2d", "2026-11-26T03:00:00+09:00", "1999-01-01T00:00:00Z"]
)

STEPS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("notification"),
            "template": st.just("t"),
            "channels": st.lists(CHANNELS, min_size=1, max_size=3, unique=True),
            "category": st.sampled_from(["marketing", "service", "transactional"]),
        },
        optional={
            "condition": st.just("!user.quiet"),
            "delay": SPANS,
            "until": st.sampled_from(["read", "engaged"]),
        },
    ),
    st.fixed_dictionaries({"type": st.just("delay"), "delay": SPANS}),
    st.fixed_dictionaries({"type": st.just("wait"), "event": EVENTS, "timeout": SPANS}),
    st.fixed_dictionaries({"type": st.just("digest"), "event": EVENTS, "window": SPANS}),
    st.fixed_dictionaries({"type": st.just("throttle"), "limit": st.integers(1, 3), "per": st.just("1h")}),
    st.just({"type": "update_profile", "attributes": {"quiet": True}}),
    st.just(
        {"type": "split", "arms": [{"name": "a", "weight": 1, "goto": "end"}, {"name": "b", "weight": 2}]}
    ),
    st.just({"type": "branch", "conditions": [{"if": "events.read.count > 0", "goto": "s0"}]}),
)
WORDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "users": st.integers(1, 12),
        "days": st.floats(0.01, 40),
        "start": st.sampled_from(
            ["2026-11-23T10:00:00Z", "2027-03-28T00:30:00+01:00", "2024-02-29T12:00:00Z"]
        ),
    },
    optional={
        "events": st.lists(st.fixed_dictionaries({"event": EVENTS, "at": TIMES}), max_size=6),
        "habits": st.lists(
            st.one_of(
                st.fixed_dictionaries({"event": EVENTS, "per_day": st.floats(0, 3)}),
                st.fixed_dictionaries({"event": EVENTS, "after": st.just("engaged"), "share": SHARES}),
            ),
            max_size=2,
        ),
        "odds": st.dictionaries(CHANNELS, st.fixed_dictionaries({"delivered": SHARES, "engaged": SHARES})),
        "mix": st.fixed_dictionaries({"consent": SHARES}),
        "seed": st.integers(0, 2**40),
    },
)


def graph_of(steps: list[dict[str, Any]]) -> Graph | None:
    """The journey of these steps, or None where the compiler refuses it."""
    named = [{**step, "id": f"s{place}"} for place, step in enumerate(steps)]
    definition = {
        "name": "j",
        "trigger": {"type": "event", "event": "go"},
        "steps": named,
        "settings": {"reentry": "always"},
        "exit_conditions": ["left"],
    }
    return compile_journey(definition).graph


def course(graph: Graph, words: dict[str, Any]) -> Result | None:
    """What comes of it; None where it is refused."""
    try:
        asked = msgspec.convert(words, RehearsalWords)
        return rehearse(set_stage(graph, make_config(graph, TenantWords()), asked, 0))
    except Invalid:
        return None


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), WORDS)
def test_whatever_is_rehearsed_ends_and_adds_up(steps: list[dict[str, Any]], words: dict[str, Any]):
    graph = graph_of(steps)
    result = None if graph is None else course(graph, words)
    if graph is None or result is None:
        return

    assert course(graph, words) == result
    assert sum(result.statuses.values()) == result.entered == sum(len(one.runs) for one in result.users)
    for figures in result.channels.values():
        assert sum(figures.by_hour) == figures.sent >= figures.delivered + figures.failed
        assert figures.delivered >= figures.engaged
    for step in result.steps.values():
        left = step.done + step.skipped + step.failed + step.waiting
        assert left <= step.entered
    messages = [message for story in result.users for message in story.messages]
    out = [message for message in messages if message.out_ms]
    assert len(out) == result.sent
    assert sum(message.cost_micros for message in messages) == result.cost_micros
    assert all(message.out_ms >= message.decided_ms >= result.begin_ms for message in out)
