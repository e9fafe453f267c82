"""What the laws of the places where a user may be make of a decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clarion.audience.model import Card
from clarion.compliance.model import ConsentState
from clarion.compliance.rulebook import bundled_rulebook
from clarion.orchestration.decide import decide
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, Decision, Draft, Reason
from clarion.tenancy.model import ALL_CHANNELS, ComplianceSettings
from clarion.testing.decisions import (
    AGREED,
    MARKETING,
    SECURITY,
    TRANSACTIONAL,
    ScriptedPredictor,
    make_card,
    make_draft,
)

HOUR = 3_600_000
EMAIL, PUSH, SMS = 1, 2, 4
EVEN = ScriptedPredictor()


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def decide_at(now: str, draft: Draft, card: Card) -> Decision:
    [decision] = decide([Candidate(draft, card)], EVEN, Limits(), utc_ms(now))
    return decision


def floridian(**changes: Any) -> Card:
    return make_card(country="US", region="Florida", timezone="America/New_York", **changes)


def advert(**changes: Any) -> Draft:
    return make_draft(MARKETING, **changes)


def test_a_text_that_the_law_forbids_at_night_waits_for_the_morning():
    # 20:10 in Miami, where texts end at 20:00, an hour before they do by federal law, and begin at 08:00.
    decision = decide_at("2026-06-03T00:10", advert(requested=SMS), floridian())
    [choice] = decision.choices
    assert (choice.status, choice.due_ms, choice.rule) == (
        "deferred",
        utc_ms("2026-06-03T12:00"),
        "quiet_hours",
    )
    assert Reason("sms", "quiet_hours", "moved", "us-fl-sms-marketing") in decision.reasons
    assert (decision.ruleset, decision.jurisdictions) == (bundled_rulebook().version, ("US-FL",))


def test_what_the_law_closes_to_one_channel_goes_at_once_on_another():
    decision = decide_at("2026-06-03T01:10", advert(requested=SMS | EMAIL), floridian())
    assert [(choice.channel, choice.due_ms) for choice in decision.choices] == [(0, 0)]


def test_all_channels_go_each_as_soon_as_it_may():
    decision = decide_at("2026-06-03T01:10", advert(requested=SMS | EMAIL, selection="all"), floridian())
    due = {choice.channel: (choice.status, choice.due_ms) for choice in decision.choices}
    assert due == {0: ("queued", 0), 2: ("deferred", utc_ms("2026-06-03T12:00"))}


def test_every_clock_that_a_user_may_have_has_its_say():
    # 08:30 in Miami is 05:30 in California, where her number is from.
    card = floridian(phone_country="US", phone_zones=("America/Los_Angeles",))
    decision = decide_at("2026-06-03T12:30", advert(requested=SMS), card)
    assert decision.choices[0].due_ms == utc_ms("2026-06-03T15:00")


def test_the_country_of_a_number_has_its_say_beside_that_of_the_profile():
    # Saturday night in Paris: no texts to French numbers before Monday, 08:00.
    card = make_card(country="AU", timezone="Europe/Paris", phone_country="FR", phone_zones=("Europe/Paris",))
    decision = decide_at("2026-06-06T21:00", advert(requested=SMS), card)
    at_ms = decision.choices[0].due_ms
    local = datetime.fromtimestamp(at_ms / 1000, UTC)
    assert local >= datetime(2026, 6, 8, 6, tzinfo=UTC)
    assert decision.jurisdictions == ("AU", "FR")


@pytest.mark.parametrize("category", [SECURITY, TRANSACTIONAL])
def test_codes_and_receipts_know_no_hours(category: Any):
    decision = decide_at("2026-06-03T01:10", make_draft(category, requested=SMS), floridian())
    assert decision.choices[0].due_ms == 0


def test_hours_that_are_manners_and_no_law_are_the_tenants_to_choose():
    berliner = make_card(country="DE", timezone="Europe/Berlin")
    night = "2026-06-03T22:30"
    assert decide_at(night, advert(), berliner).status == "deferred"
    free = ComplianceSettings(default_windows=False)
    assert decide_at(night, advert(compliance=free), berliner).status == "queued"


def test_a_purchase_stands_for_consent_where_the_law_takes_it_and_nowhere_else():
    everything = {"*": ALL_CHANNELS}
    bought = ConsentState(everything, implied=everything, bases={"implied_purchase": everything})
    noon = "2026-06-03T17:00"
    canadian = make_card(country="CA", timezone="America/Toronto", consent=bought)
    assert decide_at(noon, advert(requested=EMAIL), canadian).status == "queued"
    decision = decide_at(noon, advert(requested=SMS), floridian(consent=bought))
    assert decision.status == "blocked"
    [reason] = [each for each in decision.reasons if each.channel == "sms"]
    assert reason.rule == "consent_missing"
    assert reason.law.startswith("us-")


def test_proof_is_asked_for_where_the_tenant_wants_it_kept():
    strict = ComplianceSettings(require_proof=True)
    berliner = make_card(country="DE", timezone="Europe/Berlin", consent=AGREED)
    noon = "2026-06-03T12:00"
    assert decide_at(noon, advert(requested=EMAIL), berliner).status == "queued"
    assert decide_at(noon, advert(requested=EMAIL, compliance=strict), berliner).status == "blocked"
    proven = ConsentState(granted={"*": ALL_CHANNELS}, proven={"*": EMAIL})
    doubly = make_card(country="DE", timezone="Europe/Berlin", consent=proven)
    assert decide_at(noon, advert(requested=EMAIL, compliance=strict), doubly).status == "queued"


def test_whoever_may_be_anywhere_is_held_to_the_strictest():
    # 21:00 on both clocks: open by the law of Texas, closed by others.
    nowhere = make_card(country="", timezone="")
    decision = decide_at("2026-06-03T20:30", advert(requested=SMS), nowhere)
    assert decision.jurisdictions == ("??",)
    assert decision.status in {"deferred", "blocked"}
    known = decide_at("2026-06-03T20:30", advert(requested=SMS, tenant_country="AU"), nowhere)
    assert (known.jurisdictions, known.status) == (("AU",), "queued")
