"""What definitions compile to, in each of their spellings, and what is said of those that do not fit."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from clarion.contracts.commands import Optimization
from clarion.journeys.compile import compile_journey
from clarion.journeys.findings import Finding
from clarion.journeys.graph import (
    CONTEXT,
    END,
    FEATURES,
    PROFILE,
    STEPS,
    BranchSpec,
    Delay,
    DelaySpec,
    Entry,
    EventMatch,
    FetchSpec,
    GotoSpec,
    Graph,
    NotificationSpec,
    ProfileSpec,
    Rung,
    SplitSpec,
    ThrottleSpec,
    WaitSpec,
)
from clarion.journeys.known import Known, KnownTemplate
from tests.unit.journeys.definitions import MAIL, SOUND, SPECIFICATION, journey

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def compiled(*steps: Any, **fields: Any) -> Graph:
    """The graph of these steps, which is there."""
    answer = compile_journey(journey(*steps, **fields))
    assert answer.graph is not None, answer.findings
    return answer.graph


def spec_of(step: Any) -> Any:
    """What a step, the first of its journey, is compiled to."""
    graph = compiled(step, MAIL)
    return graph.steps[graph.first].spec


def errors_of(raw: Any) -> list[tuple[str, str]]:
    """Paths and messages of the errors of a definition."""
    return [(one.path, one.message) for one in compile_journey(raw).findings if one.level == "error"]


def told(raw: Any, known: Known | None = None) -> list[tuple[str, str, str]]:
    """Levels, paths and the beginnings of what is said of a definition that can be published."""
    answer = compile_journey(raw, known)
    assert answer.graph is not None, answer.findings
    return [(one.level, one.path, one.message) for one in answer.findings]


def test_the_specifications_own_example_is_accepted_as_it_stands() -> None:
    answer = compile_journey(SPECIFICATION)

    assert answer.graph is not None
    assert list(answer.graph.steps) == ["welcome", "pause", "check", "power_user"]
    assert answer.graph.steps["pause"].spec == DelaySpec(Delay(after_ms=DAY))
    check = answer.graph.steps["check"].spec
    assert isinstance(check, BranchSpec)
    assert [case.goto for case in check.cases] == ["power_user", END]
    assert answer.graph.events == {"user_signed_up", "unsubscribed", "completed_onboarding"}
    assert answer.graph.entry.audience is not None
    assert [one for one in answer.findings if one.level == "warning"] == [
        Finding(
            "warning",
            "steps[3].channels[1]",
            "power_user",
            "there is no channel 'in_app' here, so it is passed by: there are email, push, sms",
        ),
        Finding(
            "warning",
            "steps[2].conditions[1].else",
            "check",
            "there is no step 'nurture': the run ends there",
        ),
    ]


@pytest.mark.parametrize(
    "otherwise",
    [
        {"else": "mail"},
        {"else": True, "goto": "mail"},
        {"else": {"goto": "mail"}},
        {"else": {"next": "mail"}},
        {"if": "else", "then": "mail"},
        {"default": "mail"},
        {"goto": "mail"},
        {"else": [{"type": "goto", "goto": "mail"}]},
    ],
    ids=str,
)
def test_else_in_each_spelling(otherwise: dict[str, Any]) -> None:
    graph = compiled({"type": "branch", "conditions": [{"if": "vip", "goto": "end"}, otherwise]}, MAIL)

    spec = graph.steps[graph.first].spec
    assert isinstance(spec, BranchSpec)
    assert [case.condition is None for case in spec.cases] == [False, True]
    way = spec.cases[1].goto
    assert way == "mail" or graph.steps[str(way)].spec == GotoSpec("mail")


@pytest.mark.parametrize(
    ("step", "delay"),
    [
        ({"type": "delay", "delay": "24h"}, Delay(DAY)),
        ({"type": "wait", "duration": "2 days"}, Delay(2 * DAY)),
        ({"type": "wait", "for": "90m"}, Delay(90 * MINUTE)),
        ({"type": "sleep", "seconds": 60}, Delay(MINUTE)),
        ({"type": "delay", "duration": 5, "unit": "minutes"}, Delay(5 * MINUTE)),
        ({"delay": {"hours": 2}}, Delay(2 * HOUR)),
        ({"type": "delay", "until": "09:00"}, Delay(clock=540)),
        (
            {"type": "delay", "until": "5:30pm", "timezone": "Asia/Tokyo"},
            Delay(clock=1050, timezone="Asia/Tokyo"),
        ),
        ({"type": "wait", "until": "monday 09:00"}, Delay(clock=540, weekdays=(0,))),
        ({"type": "wait", "until": "weekdays at 8am"}, Delay(clock=480, weekdays=(0, 1, 2, 3, 4))),
        ({"type": "delay", "weekday": ["sat", 7]}, Delay(weekdays=(5, 6))),
        ({"type": "delay", "delay": "1d", "until": "09:00"}, Delay(DAY, clock=540)),
        (
            {"type": "delay", "until": "user.trial_ends_at", "offset": "-3d"},
            Delay(attribute="user.trial_ends_at", offset_ms=-3 * DAY),
        ),
        (
            {"type": "delay", "attribute": "context.due", "at": "08:00"},
            Delay(clock=480, attribute="context.due"),
        ),
    ],
    ids=str,
)
def test_delays_in_each_spelling(step: dict[str, Any], delay: Delay) -> None:
    assert spec_of(step) == DelaySpec(delay)


def test_clock_times_are_those_of_the_journeys_zone_where_the_step_names_none() -> None:
    graph = compiled({"type": "delay", "until": "09:00"}, settings={"timezone": "Europe/Berlin"})

    assert graph.steps[graph.first].spec == DelaySpec(Delay(clock=540, timezone="Europe/Berlin"))


def test_a_notification_with_its_fallback() -> None:
    spec = spec_of(
        {
            "type": "notification",
            "template_id": "code",
            "channels": ["push"],
            "fallback_chain": [
                "push",
                {"channel": "text", "after_s": 60},
                {"channel": "email", "template": "long"},
            ],
            "success_metric": "otp_verified",
            "priority": "high",
            "category": "codes",
            "optimize_send_time": True,
        }
    )

    assert spec == NotificationSpec(
        template="code",
        channels=("push",),
        category="codes",
        optimization=Optimization(send_time="optimal"),
        priority=8,
        rungs=(Rung(("sms",), MINUTE), Rung(("email",), 5 * MINUTE, "long")),
        until=EventMatch("otp_verified"),
    )


def test_a_fallback_that_says_nothing_else_goes_on_until_the_message_is_delivered() -> None:
    assert spec_of({"type": "push", "template": "a", "fallback": "sms"}).until == EventMatch("delivered")
    assert spec_of(
        {"type": "push", "template": "a", "fallback": "sms", "until": "opened"}
    ).until == EventMatch("engaged")


def test_a_whole_chain_begins_with_its_first_channel() -> None:
    chain = spec_of({"type": "send", "template": "a", "fallback_chain": ["push", "sms"]})
    asked = [{"channel": "email", "after_s": 60, "unless": "engaged"}]
    of_requests = spec_of({"type": "push", "template": "a", "optimization": {"fallback": asked}})

    assert (chain.channels, chain.rungs) == (("push",), (Rung(("sms",), 5 * MINUTE),))
    assert (of_requests.rungs, of_requests.until) == ((Rung(("email",), MINUTE),), EventMatch("engaged"))


def test_a_timeout_may_say_where_it_leads() -> None:
    spec = spec_of({"type": "wait", "event": "a", "timeout": {"after": "2d", "goto": "mail"}})

    assert (spec.timeout_ms, spec.on_timeout) == (2 * DAY, "mail")


def test_waits() -> None:
    graph = compiled(
        {
            "id": "w",
            "type": "wait",
            "event": "purchase",
            "match": {"plan": "pro"},
            "timeout": "2d",
            "on_timeout": "mail",
        },
        {"id": "m", "type": "wait", "event": "opened", "of_step": "mail", "timeout": "1d", "on_event": "end"},
        MAIL,
    )

    first, second = graph.steps["w"].spec, graph.steps["m"].spec
    assert isinstance(first, WaitSpec)
    assert isinstance(second, WaitSpec)
    assert (first.timeout_ms, first.on_event, first.on_timeout) == (2 * DAY, None, "mail")
    assert first.match[0].condition is not None
    assert (second.match, second.of_step, second.on_event) == ((EventMatch("engaged"),), "mail", END)


def test_steps_in_place_go_on_where_their_branch_does() -> None:
    graph = compiled(
        {
            "id": "fork",
            "type": "branch",
            "branches": [
                {"if": "vip", "steps": [{"type": "sms", "template": "a"}, {"type": "push", "template": "b"}]},
                {"else": True},
            ],
        },
        MAIL,
    )

    assert set(graph.steps) == {"fork_1", "fork_2", "fork", "mail"}
    assert [graph.steps[ident].next for ident in ("fork_1", "fork_2", "fork", "mail")] == [
        "fork_2",
        "mail",
        "mail",
        END,
    ]


def test_a_branch_of_several_ways_may_have_a_condition_of_its_own() -> None:
    ways = [{"if": "vip", "goto": "mail"}, {"else": "end"}]
    graph = compiled({"id": "b", "type": "branch", "condition": "user.beta", "conditions": ways}, MAIL)

    assert graph.steps["b"].condition is not None
    assert graph.steps["b"].next == "mail"


@pytest.mark.parametrize(
    ("onward", "following"),
    [
        ("end", END),
        (None, END),
        ("exit", END),
        ("next", "mail"),
        (True, "mail"),
        ("last", "last"),
        ("nowhere", END),
    ],
    ids=str,
)
def test_where_a_step_goes_on(onward: Any, following: str) -> None:
    graph = compiled({"id": "a", "type": "goal", "next": onward}, MAIL, {"id": "last", "type": "exit"})

    assert graph.steps["a"].next == following


def test_splits_digests_throttles_and_calls() -> None:
    split = spec_of({"id": "ab", "type": "ab_test", "variants": {"a": 30, "b": 60}, "holdout": 10})
    throttle = spec_of({"type": "throttle", "rate": "100/hour", "scope": "journey"})
    fetch = spec_of({"type": "api_call", "url": "https://example.com/x", "into": {"plan": "$.data.plan"}})
    profile = spec_of({"type": "set_attribute", "attribute": "stage", "value": "done"})

    assert isinstance(split, SplitSpec)
    assert [(arm.name, arm.weight, arm.goto, arm.is_holdout) for arm in split.arms] == [
        ("a", 30, None, False),
        ("b", 60, None, False),
        ("holdout", 10, END, True),
    ]
    assert split.salt == "ab"
    assert throttle == ThrottleSpec(100, HOUR, "journey")
    assert fetch == FetchSpec("https://example.com/x", into={"plan": "data.plan"})
    assert profile == ProfileSpec({"stage": "done"})


@pytest.mark.parametrize(
    ("trigger", "entry"),
    [
        ("api", Entry()),
        ("signed_up", Entry("event", EventMatch("signed_up"))),
        ({"type": "event", "event_name": "signed_up"}, Entry("event", EventMatch("signed_up"))),
        ({"event": "signed_up"}, Entry("event", EventMatch("signed_up"))),
        ({"type": "segment_entry", "segment_id": "vips"}, Entry("segment", segment="vips")),
        (
            {"type": "schedule", "schedule": "0 9 * * 1", "segment": "vips"},
            Entry("schedule", segment="vips", cron="0 9 * * 1"),
        ),
        (
            {"type": "date", "attribute": "birthday", "offset": "-1d", "at": "09:00", "yearly": True},
            Entry("date", date=Delay(clock=540, attribute="user.birthday", offset_ms=-DAY), yearly=True),
        ),
        ({"type": "api", "reentry": "7d"}, Entry(reentry="after", reentry_after_ms=7 * DAY)),
    ],
    ids=str,
)
def test_triggers(trigger: Any, entry: Entry) -> None:
    assert compiled(MAIL, trigger=trigger).entry == entry


@pytest.mark.parametrize(
    ("reentry", "policy"),
    [
        ("never", ("never", 0)),
        (False, ("never", 0)),
        (True, ("one_at_a_time", 0)),
        ("always", ("always", 0)),
        ("30d", ("after", 30 * DAY)),
        ({"policy": "after", "period": "1 week"}, ("after", 7 * DAY)),
    ],
    ids=str,
)
def test_re_entry(reentry: Any, policy: tuple[str, int]) -> None:
    entry = compiled(MAIL, settings={"allow_reentry": reentry}).entry

    assert (entry.reentry, entry.reentry_after_ms) == policy


def test_exit_conditions_are_events_flags_and_expressions() -> None:
    graph = compiled(
        MAIL, exit_conditions=["done", {"event": "bought", "match": "amount > 5"}, "user.age > 100"]
    )

    assert [(rule.name, rule.match is not None, rule.condition is not None) for rule in graph.exits] == [
        ("done", True, False),
        ("done", False, True),
        ("bought", True, False),
        ("user.age > 100", False, True),
    ]
    assert graph.events == {"done", "bought"}


def test_exit_conditions_may_name_several_events_at_once() -> None:
    graph = compiled(
        MAIL, exit_conditions={"events": ["done", "bought"], "conditions": ["user.age > 100", "vip"]}
    )

    assert [rule.name for rule in graph.exits] == ["done", "bought", "(user.age > 100) && (vip)"]


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"all": ["vip", {"field": "age", "op": ">", "value": 3}]}, "(vip) && (age > 3)"),
        ({"rules": ["vip", "beta"], "operator": "or"}, "(vip) || (beta)"),
        (
            {"include": {"country": ["US", "CA"]}, "exclude": "employee"},
            '(user.country in ["US", "CA"]) && (!(employee))',
        ),
        ({"age": {"gte": 18, "lt": 65}, "name": "x"}, 'user.age >= 18 && user.age < 65 && user.name == "x"'),
        ({"attribute": "user.plan", "operator": "exists"}, "has(user.plan)"),
        ({"not": {"tier": {"not_in": ["a"]}}}, '!(!(user.tier in ["a"]))'),
        (["vip"], "vip"),
    ],
    ids=str,
)
def test_rules_are_written_as_expressions(rules: Any, text: str) -> None:
    audience = compiled(MAIL, audience_rules=rules).entry.audience

    assert audience is not None
    assert audience.text == text


def test_an_audience_is_an_expression_rules_or_a_segment() -> None:
    assert compiled(MAIL, audience_rules={"country": "US", "age": {"gte": 18}}).entry.audience is not None
    assert compiled(MAIL, audience="user.age > 18").entry.audience is not None
    segment = compiled(MAIL, audience={"segment": "vips", "condition": "user.age > 18"}).entry
    assert (segment.audience_segment, segment.audience is not None) == ("vips", True)


def test_what_a_step_needs_is_closed_over_what_may_follow_at_once() -> None:
    graph = compiled(
        {"id": "a", "type": "goal", "name": "begun"},
        {"id": "b", "type": "branch", "conditions": [{"if": "user.vip", "goto": "c"}, {"else": "d"}]},
        {"id": "c", "type": "delay", "delay": "1h", "condition": "features.score > 1"},
        {"id": "d", "type": "delay", "delay": "1d"},
        {
            "id": "e",
            "type": "branch",
            "if": "steps.mail.engaged && context.x == 1",
            "then": "mail",
            "else": "end",
        },
        MAIL,
    )

    needs = {ident: step.needs for ident, step in graph.steps.items()}
    assert needs["a"] == PROFILE | FEATURES
    assert needs["d"] == STEPS | CONTEXT
    assert needs["e"] == STEPS | CONTEXT
    assert needs["mail"] == CONTEXT


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        (
            {"type": "emial", "template": "a"},
            "steps[0].type",
            "there is no step of type 'emial': did you mean email?",
        ),
        ({"type": "delay", "delay": "soonish"}, "steps[0].delay", "'soonish' is no delay"),
        ({**MAIL, "delay": -5}, "steps[0].delay", "-5 is no delay"),
        ({**MAIL, "condition": "user.plan = 'pro'"}, "steps[0].condition", "write == to compare"),
        (
            {**MAIL, "tempalte_id": "x"},
            "steps[0].tempalte_id",
            "there is no field 'tempalte_id' here: did you mean 'template_id'?",
        ),
        (
            {**MAIL, "template_id": "other"},
            "steps[0].template_id",
            "this is given twice, as 'template' and as 'template_id'",
        ),
        (
            {**MAIL, "channels": ["pigeon"]},
            "steps[0].channels[0]",
            "'pigeon' is no channel: there are email, push, sms",
        ),
        (
            {"type": "delay", "until": "09:00", "timezone": "Mars"},
            "steps[0].timezone",
            "'Mars' is no time zone",
        ),
        (
            {"type": "split", "arms": [{"weight": -1}]},
            "steps[0].arms[0].weight",
            "a weight is a number of 0 or more",
        ),
        ({"type": "split", "arms": [{"weight": 0}]}, "steps[0].arms", "all arms have weight 0"),
        ({"type": "fetch", "url": "file:///etc/passwd"}, "steps[0]", "'file:///etc/passwd' is no address"),
        ({"type": "wait", "timeout": "1d"}, "steps[0]", "it does not say what to wait for"),
        ({"template": "a", "on_error": "panic"}, "steps[0].on_error", "there is no policy 'panic'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_say_where_and_how_to_mend_it(step: dict[str, Any], path: str, message: str) -> None:
    found = errors_of(journey(step))

    assert any(where == path and message in what for where, what in found), found


def test_errors_of_the_whole() -> None:
    assert any("also that of steps[0]" in what for _, what in errors_of(journey(MAIL, MAIL)))
    assert any("1000 steps at most" in what for _, what in errors_of(journey(*[MAIL] * 1_001)))
    assert any(
        "five" in what for _, what in errors_of(journey(MAIL, trigger={"cron": "9am", "segment": "a"}))
    )
    assert any("one trigger" in what for _, what in errors_of(journey(MAIL, trigger=["a", "b"])))
    assert errors_of({**journey(MAIL), True: 1}) == [
        ("", "the name true of a field is no text: put it between quotation marks")
    ]


@pytest.mark.parametrize(
    "value", ["\0", "\ud800", float("nan"), float("inf"), 1 << 64, date(2026, 1, 1), b"x"], ids=repr
)
def test_what_json_or_a_store_cannot_hold_is_refused(value: Any) -> None:
    found = errors_of(journey({**MAIL, "data": {"a": [value]}}))

    assert len(found) == 1


def test_warnings_say_what_will_happen() -> None:
    lonely = told(journey({"id": "a", "type": "exit"}, {"id": "b", "type": "exit"}))
    loop = told(journey({"id": "a", "type": "goal"}, {"id": "b", "type": "goto", "goto": "a"}))
    slow = told(
        journey({"id": "a", "type": "delay", "delay": "1h"}, {"id": "b", "type": "goto", "goto": "a"})
    )
    falls = told(
        journey(
            {"type": "branch", "conditions": [{"if": "user.vip", "goto": "x"}, {"else": "y"}]},
            {"id": "x", "type": "email", "template": "a"},
            {"id": "y", "type": "email", "template": "b"},
        )
    )

    assert lonely == [("warning", "steps[1]", "no way leads to step 'b': nobody gets there")]
    assert [(level, path) for level, path, _ in loop] == [("warning", "steps[0]")]
    assert "go round without a wait: a → b → a" in loop[0][2]
    assert slow == []
    assert [(level, path) for level, path, _ in falls] == [("note", "steps[1]")]


def test_variables_that_nothing_sets_are_named() -> None:
    declared = told(journey({**MAIL, "condition": "context.amuont > 1"}, settings={"variables": ["amount"]}))
    unknown = told(journey({**MAIL, "condition": "stpes.mail.engaged || steps.mial.engaged"}))

    assert [level for level, _, what in declared if "not among the declared" in what] == ["warning"]
    assert any("there is no step 'mial'" in what for _, _, what in unknown)


def test_names_in_texts_are_looked_at_too() -> None:
    url = "https://example.com/{{ context.order }}?of={{ steps.mial.count }}"
    found = told(journey({"type": "webhook", "url": url}, settings={"variables": ["amount"]}))

    assert sorted(what.split(":")[0] for _, _, what in found) == [
        "'context.order' is not among the declared variables",
        "'steps.mial.count' is of no step",
    ]
    assert errors_of(journey({"type": "webhook", "url": "https://{{ user.host }}/x"})) == [
        ("steps[0]", "the host of an address is the same for everybody: fill in what comes after it")
    ]


def test_what_the_account_does_not_have_is_a_warning() -> None:
    known = Known({"welcome": KnownTemplate(frozenset({"sms"}))}, frozenset(), frozenset(), frozenset())

    found = told(
        journey(
            MAIL,
            {"type": "email", "template": "absent", "category": "news"},
            {"type": "start_journey", "journey": "other"},
            audience={"segment": "vips"},
        ),
        known,
    )

    assert [what.split(":")[0] for level, _, what in found if level == "warning"] == [
        "template 'welcome' has nothing for email",
        "there is no category 'news'",
        "there is no template 'absent'",
        "there is no journey 'other'",
        "there is no segment 'vips'",
    ]


@pytest.mark.parametrize("name", SOUND)
def test_a_definition_compiles_the_same_each_time(name: str) -> None:
    first, second = compile_journey(SOUND[name]), compile_journey(SOUND[name])

    assert first.findings == second.findings
    assert first.graph is not None
    assert second.graph is not None
    assert [(one.id, one.next, one.needs) for one in first.graph.steps.values()] == [
        (one.id, one.next, one.needs) for one in second.graph.steps.values()
    ]
