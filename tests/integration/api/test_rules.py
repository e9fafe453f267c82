"""The rules over HTTP: what a tenant chooses, what holds for a message, and why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

BY_TEXT = {"optimization": {"channels": ["sms"]}}
MIAMI = {
    "phone": "+13055552671",
    "country": "US",
    "region": "Florida",
    "timezone": "America/New_York",
}


async def explain(caller: Caller, **query: str) -> dict[str, Any]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await caller.call(f"GET /compliance/explain/ada?{asked}")
    assert answer.status == 200, answer.body
    return answer.json()


async def grant(caller: Caller, channel: str = "sms") -> None:
    word = {
        "user_id": "ada",
        "channel": channel,
        "category": "marketing",
        "consented": True,
        "source": "form",
    }
    assert (await caller.call("POST /compliance/consent", word)).status == 200


async def test_a_message_is_explained_with_every_place_clock_rule_and_word(caller: Caller):
    await caller.user(**MIAMI)
    await grant(caller)
    told = await explain(caller, channel="sms", category="marketing", at="2026-06-03T00:10:00Z")
    assert (told["verdict"], told["reason"], told["rule"]) == ("defer", "quiet_hours", "us-fl-sms-marketing")
    assert told["until"] == "2026-06-03T12:00:00.000Z"
    assert told["jurisdictions"] == ["US-FL"]
    assert told["clocks"] == [{"timezone": "America/New_York", "local_time": "2026-06-02T20:10-04:00"}]
    assert told["whereabouts"] == {
        "country": "US",
        "region": "Florida",
        "timezone": "America/New_York",
        "phone_country": "US",
        "phone_zones": ["America/New_York"],
    }
    (word,) = told["words"]
    assert (word["category"], word["consented"], word["source"]) == ("marketing", True, "form")
    rules = {rule["id"]: rule for rule in told["rules"]}
    assert rules["us-fl-sms-marketing"]["open"] is False
    assert rules["us-sms-marketing"]["open"] is True
    assert rules["us-fl-sms-marketing"]["caps"] == [{"count": 3, "hours": 24}]
    assert "501" in rules["us-fl-sms-marketing"]["source"]


async def test_what_is_explained_for_an_open_hour_goes(caller: Caller):
    await caller.user(**MIAMI)
    await grant(caller)
    told = await explain(caller, channel="sms", category="marketing", at="2026-06-03T16:00:00Z")
    assert (told["verdict"], told["until"], told["rule"]) == ("allow", None, None)


async def test_without_a_word_of_hers_the_answer_names_the_rule_that_asks_for_one(caller: Caller):
    await caller.user(**MIAMI)
    told = await explain(caller, channel="sms", category="marketing", at="2026-06-03T16:00:00Z")
    assert (told["verdict"], told["reason"]) == ("block", "consent_missing")
    assert told["rule"].startswith("us-")
    code = await explain(caller, channel="sms", category="security", at="2026-06-03T04:00:00Z")
    assert code["verdict"] == "allow"


async def test_what_she_switched_off_and_where_she_cannot_be_reached_is_said(caller: Caller):
    await caller.user(**MIAMI, preferences={"marketing": ["sms"]})
    await grant(caller)
    told = await explain(caller, channel="sms", category="marketing", at="2026-06-03T16:00:00Z")
    assert (told["verdict"], told["reason"], told["rule"]) == ("block", "preference", None)
    told = await explain(caller, channel="push", category="marketing")
    assert (told["verdict"], told["reason"]) == ("block", "unreachable")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/compliance/explain/nobody?channel=sms&category=marketing", 404),
        ("/compliance/explain/ada?channel=fax&category=marketing", 400),
        ("/compliance/explain/ada?channel=sms", 400),
        ("/compliance/explain/ada?channel=sms&category=nothing", 422),
        ("/compliance/explain/ada?channel=sms&category=marketing&at=noon", 400),
        ("/compliance/explain/ada?channel=sms&category=marketing&at=9999-12-31T23:59:59Z", 400),
    ],
)
async def test_what_cannot_be_explained_is_refused(caller: Caller, path: str, status: int):
    await caller.user()
    assert (await caller.call(f"GET {path}")).status == status


async def test_a_decision_names_the_rule_and_the_version_of_the_rulebook(caller: Caller):
    await caller.user(**MIAMI)
    made = await caller.notify(category="marketing", **BY_TEXT)
    trace = (await caller.call(f"GET /notifications/{made['notification_id']}/trace")).json()
    decision = trace["decision"]
    (reason,) = [each for each in decision["reasons"] if each["channel"] == "sms"]
    assert (reason["rule"], reason["law"][:3]) == ("consent_missing", "us-")
    assert decision["inputs"]["jurisdictions"] == ["US-FL"]
    assert decision["inputs"]["ruleset"] == (await caller.call("GET /compliance/settings")).json()["ruleset"]


async def test_a_tenant_chooses_where_the_law_leaves_a_choice(caller: Caller):
    fresh = (await caller.call("GET /compliance/settings")).json()
    assert (fresh["default_windows"], fresh["require_proof"], fresh["opt_out_scope"]) == (True, False, "all")
    sender = {"legal_name": "Example Ltd", "postal_address": "1 Example Street", "contact": "+441632960000"}
    chosen = {"default_windows": False, "sender": sender, "retention_days": {"marketing": 30}}
    answer = await caller.call("PUT /compliance/settings", chosen)
    assert answer.status == 200, answer.body
    shown = (await caller.call("GET /compliance/settings")).json()
    assert shown == answer.json() == {**fresh, **chosen}

    await caller.user(country="DE", timezone="Europe/Berlin")
    await grant(caller, "email")
    night = await explain(caller, channel="email", category="marketing", at="2026-06-03T19:30:00Z")
    assert night["verdict"] == "allow"
    told = {duty["content"]: duty["told"] for duty in night["must_contain"]}
    assert (told["identity"], told["postal_address"], told["unsubscribe"]) == (True, True, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"retention_days": {"nothing": 3}}, 422),
        ({"retention_days": {"marketing": 0}}, 400),
        ({"opt_out_scope": "none"}, 400),
        ({"default_windows": None}, 400),
        ({"sender": {"legal_name": "x" * 501}}, 400),
        ({"sender": {"legal_name": "a\u0000b"}}, 400),
        ({"unknown": 1}, 400),
    ],
)
async def test_choices_that_there_are_not_are_refused(caller: Caller, body: Any, status: int):
    assert (await caller.call("PUT /compliance/settings", body)).status == status
