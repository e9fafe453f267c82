"""Rehearsals: the rules that hold for real messages hold in them, and the same scenario takes the same course."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest

from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.rehearsal import Result, rehearse
from clarion.journeys.rehearsal.stage import make_config, set_stage, told_prices
from clarion.journeys.rehearsal.words import RehearsalWords, TenantWords
from clarion.kernel.errors import Invalid

START: Final = "2026-11-23T10:00:00+00:00"
"""A Monday, in nobody's night."""

START_MS: Final = round(datetime.fromisoformat(START).timestamp() * 1000)
HOUR_MS: Final = 3_600_000
ANN: Final = {"id": "ann", "timezone": "UTC", "country": "AU"}
MAIL: Final = {"type": "email", "template": "mail", "category": "marketing"}


def compiled(steps: list[dict[str, Any]], **fields: Any) -> Graph:
    """A journey of these steps, which the event `go` begins."""
    result = compile_journey(
        {"name": "j", "trigger": {"type": "event", "event": "go"}, "steps": steps, **fields}
    )
    assert result.graph is not None, result.findings
    return result.graph


def course(graph: Graph, tenant: dict[str, Any] | None = None, **words: Any) -> Result:
    """What comes of a rehearsal of Ann, to whom `go` happens at the start."""
    given = {"users": [ANN], "start": START, "events": [{"event": "go"}], "days": 7, **words}
    told = msgspec.convert(tenant or {}, TenantWords)
    asked = msgspec.convert(given, RehearsalWords)
    return rehearse(told_prices(set_stage(graph, make_config(graph, told), asked, 0), told))


def outs(result: Result) -> list[tuple[str, str, float]]:
    """Ann's messages: step, status without how it fared, and hours after the start."""
    return [
        (
            one.step,
            "out" if one.out_ms else one.status,
            ((one.out_ms or one.due_ms) - START_MS) / HOUR_MS,
        )
        for one in result.users[0].messages
    ]


def test_the_same_scenario_takes_the_same_course_and_another_seed_another():
    graph = compiled([{**MAIL, "id": "a"}, {"type": "wait", "event": "back", "timeout": "2d"}])
    words: dict[str, Any] = {
        "users": 200,
        "habits": [{"event": "back", "after": "engaged", "share": 0.5}],
    }

    first, again, other = (course(graph, seed=seed, **words) for seed in (1, 1, 2))

    assert first == again
    assert first.channels["email"].engaged != other.channels["email"].engaged


def test_more_users_begin_with_the_same_ones():
    graph = compiled([{**MAIL, "id": "a"}])

    few, more = (course(graph, users=count) for count in (5, 9))

    assert [story.user for story in few.users] == [story.user for story in more.users[:5]]
    assert [s.messages[0].status for s in few.users] == [s.messages[0].status for s in more.users[:5]]


def test_quiet_hours_move_a_message_to_the_morning():
    graph = compiled([{"type": "delay", "delay": "13h"}, {**MAIL, "id": "late"}])

    result = course(graph)

    assert outs(result) == [("late", "out", 22.0)]
    assert result.moved == {"quiet_hours": 1}


def test_the_cap_of_a_day_holds_over_messages_that_were_decided_together():
    steps = [{**MAIL, "id": f"m{number}"} for number in range(3)]

    result = course(compiled(steps), {"categories": {"marketing": {"per_day": 2}}})

    assert [(step, hours) for step, _, hours in outs(result)] == [("m0", 0.0), ("m1", 0.0), ("m2", 22.0)]


def test_no_consent_is_told_as_the_reason():
    result = course(compiled([{**MAIL, "id": "a"}]), users=[{**ANN, "consent": "none"}])

    (message,) = result.users[0].messages
    assert (message.status, message.rule) == ("blocked", "consent_missing")
    assert result.blocked == {"consent_missing": 1}
    assert result.sent == 0


def test_a_template_without_a_part_for_the_channel_is_skipped_with_a_word():
    result = course(compiled([{**MAIL, "id": "a"}]), {"templates": {"mail": {"channels": ["sms"]}}})

    assert result.skipped == {"template mail has no part for email": 1}
    assert result.steps["a"].skipped == 1


def test_an_exit_takes_back_what_waits_for_the_morning():
    graph = compiled(
        [{"type": "delay", "delay": "13h"}, {**MAIL, "id": "late"}, {"type": "delay", "delay": "1d"}],
        exit_conditions=["bought"],
    )

    result = course(graph, events=[{"event": "go"}, {"event": "bought", "at": "+14h"}])

    assert outs(result) == [("late", "recalled", 22.0)]
    assert (result.recalled, result.ends) == (1, {"exited: bought": 1})


def test_attributes_that_a_step_sets_are_there_for_the_next():
    graph = compiled(
        [
            {"type": "update_profile", "attributes": {"tier": "{{ context.tier }}"}},
            {
                "type": "branch",
                "conditions": [{"if": 'user.tier == "gold"', "goto": "gold"}, {"else": "end"}],
            },
            {**MAIL, "id": "gold"},
        ]
    )

    result = course(graph, events=[{"event": "go", "properties": {"tier": "gold"}}])

    assert [step for step, _, _ in outs(result)] == ["gold"]


def test_a_throttle_lets_so_many_pass_in_so_long():
    graph = compiled([{"type": "throttle", "limit": 1, "per": "1h", "scope": "journey"}, {**MAIL, "id": "a"}])
    users = [{**ANN, "id": name} for name in ("a", "b", "c")]

    result = course(graph, users=users)

    assert [story.messages[0].out_ms - START_MS for story in result.users] == [0, HOUR_MS, 2 * HOUR_MS]


def test_what_fetches_bring_is_what_the_scenario_says():
    graph = compiled(
        [
            {"id": "look", "type": "fetch", "url": "https://example.com/stock", "into": {"stock": "left"}},
            {"type": "branch", "conditions": [{"if": "context.stock > 3", "goto": "end"}, {"else": "few"}]},
            {**MAIL, "id": "few"},
        ]
    )

    told = course(graph, fetched={"look": {"stock": 9}})
    untold = course(graph)

    assert (told.sent, untold.sent) == (0, 1)
    assert untold.assumed == ["look: the document that it fetches has nothing for it"]


def test_news_of_a_message_wake_the_run_that_waits_for_it():
    graph = compiled(
        [
            {**MAIL, "id": "a", "until": "delivered", "fallback": [{"channel": "sms", "after": "1h"}]},
            {**MAIL, "id": "b"},
        ]
    )

    reached, missed = (course(graph, odds={"email": {"delivered": share}}) for share in (1.0, 0.0))

    assert [step for step, _, _ in outs(reached)] == ["a", "b"]
    assert [(m.step, m.channel) for m in missed.users[0].messages] == [
        ("a", "email"),
        ("a", "sms"),
        ("b", "email"),
    ]


@pytest.mark.parametrize(
    ("reentry", "runs"), [("never", 1), ("always", 3), ("one_at_a_time", 2), ("2 days", 1)]
)
def test_who_was_in_enters_again_as_the_policy_says(reentry: str, runs: int):
    graph = compiled([{"type": "delay", "delay": "2h"}], settings={"reentry": reentry})
    events = [{"event": "go"}, {"event": "go", "at": "+1h"}, {"event": "go", "at": "+5h"}]

    result = course(graph, events=events)

    assert result.entered == runs
    assert len(result.users[0].refused) == 3 - runs


def test_a_schedule_lets_those_in_whom_the_audience_has():
    graph = compiled(
        [{**MAIL, "id": "a"}],
        trigger={"type": "schedule", "cron": "0 9 * * 2", "timezone": "UTC", "segment": "all"},
        audience_rules='user.plan == "pro"',
    )
    users = [{**ANN, "attributes": {"plan": "pro"}}, {**ANN, "id": "bob"}]

    result = course(graph, users=users, days=14, events=[])

    assert (result.entered, result.refused) == (2, {"audience": 2})
    assert outs(result) == [("a", "out", 23.0), ("a", "out", 23.0 + 7 * 24)]


def test_a_date_lets_each_in_at_her_own():
    graph = compiled(
        [{**MAIL, "id": "a"}],
        trigger={"type": "date", "attribute": "user.trial_ends_at", "offset": "-3d"},
    )
    users = [{**ANN, "attributes": {"trial_ends_at": "2026-11-27T12:00:00Z"}}, {**ANN, "id": "bob"}]

    result = course(graph, users=users, events=[])

    assert result.entered == 1
    assert outs(result) == [("a", "out", 26.0)]


def test_costs_are_by_the_prices_that_are_told():
    result = course(compiled([{**MAIL, "id": "a"}]), {"prices": {"email": 0.25}})

    assert result.cost_micros == 250_000
    assert sum(result.channels["email"].by_hour) == result.sent == 1


def test_users_who_are_made_up_are_as_the_mix_says():
    graph = compiled([{**MAIL, "id": "a"}])
    mix = {"consent": 0.5, "channels": {"email": 1}, "places": {"Asia/Tokyo JP": 1}}

    result = course(graph, users=400, mix=mix)

    assert 150 < result.blocked["consent_missing"] < 250
    assert result.sent == 400 - result.blocked["consent_missing"]


def test_a_schedule_follows_the_clocks_of_its_zone():
    graph = compiled(
        [{**MAIL, "id": "a"}],
        trigger={"type": "schedule", "cron": "30 9 * * *", "timezone": "Europe/Berlin", "segment": "all"},
    )

    result = course(graph, start="2026-10-24T00:00:00+00:00", days=3, events=[])

    entered = [datetime.fromtimestamp(run.entered_ms / 1000, UTC) for run in result.users[0].runs]
    assert [(at.hour, at.minute) for at in entered] == [(7, 30), (8, 30), (8, 30)]


def test_a_yearly_date_lets_her_in_each_year():
    graph = compiled(
        [{**MAIL, "id": "a"}],
        trigger={"type": "date", "attribute": "user.birthday", "yearly": True},
    )
    users = [{**ANN, "attributes": {"birthday": "1990-12-24"}}]

    assert course(graph, users=users, events=[], days=399).entered == 2


def test_the_event_that_lets_her_in_is_one_that_the_run_has_seen():
    graph = compiled(
        [
            {"type": "branch", "conditions": [{"if": "events.go.amount > 5", "goto": "a"}, {"else": "end"}]},
            {**MAIL, "id": "a"},
        ]
    )

    assert course(graph, events=[{"event": "go", "properties": {"amount": 9}}]).sent == 1


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ({"start": "+1d"}, "start"),
        ({"start": "2026-11-23T10:00:00"}, "start"),
        ({"spread": "often"}, "spread"),
        ({"users": [{**ANN, "quiet_hours": {"start": "25:00", "end": "7"}}]}, "users[0].quiet_hours"),
        ({"mix": {"places": {"Nowhere XX": 1}}, "users": 3}, "mix.places"),
        ({"starts": [{"user": "ann", "at": "later on"}]}, "starts[0].at"),
        ({"odds": {"email": {"engage_after": "x"}}}, "odds.email.engage_after"),
    ],
)
def test_what_is_not_understood_is_named_by_its_place(words: dict[str, Any], path: str):
    with pytest.raises(Invalid) as raised:
        course(compiled([{**MAIL, "id": "a"}]), **words)

    assert raised.value.path == path
