"""Which channels a decision takes, and what it says of the others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.audience.model import Card
from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.contracts.channels import CHANNELS, mask_of
from clarion.intelligence.serving import NeutralPrior
from clarion.orchestration.decide import decide
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, Decision, Draft
from clarion.testing.decisions import (
    MARKETING,
    SERVICE,
    TRANSACTIONAL,
    ScriptedPredictor,
    make_card,
    make_draft,
)

NOW = 1_795_608_000_000  # Wednesday 2026-11-25 12:00 UTC
EMAIL, PUSH, SMS = (mask_of([channel]) for channel in CHANNELS)
LIKES_PUSH = ScriptedPredictor((0.2, 0.5, 0.4))


def decide_one(draft: Draft, card: Card | None = None, predictor: Any = LIKES_PUSH) -> Decision:
    [decision] = decide([Candidate(draft, card or make_card())], predictor, Limits(), NOW)
    return decision


def channels_of(decision: Decision) -> list[str]:
    return [CHANNELS[choice.channel] for choice in decision.choices]


def rules_of(decision: Decision) -> dict[str, str]:
    return {reason.channel: reason.rule for reason in decision.reasons}


def test_nothing_to_decide():
    assert decide([], LIKES_PUSH, Limits(), NOW) == []


def test_optimal_takes_the_best_channel_and_says_so_of_the_others():
    decision = decide_one(make_draft())
    assert decision.status == "queued"
    assert channels_of(decision) == ["push"]
    assert rules_of(decision) == {"email": "lower_score", "sms": "lower_score"}


def test_the_decision_tells_scores_engagement_confidence_model_and_runners_up():
    decision = decide_one(make_draft())
    assert decision.scores == (0.2, 0.5, 0.4)
    assert (decision.engagement, decision.confidence, decision.propensity) == (0.5, 0.5, 1.0)
    assert decision.model == "script-1"
    assert decision.optimal_ms == NOW
    assert decision.alternatives == ((2, NOW, 0.4), (0, NOW, 0.2))


def test_the_best_channel_is_taken_however_low_its_score():
    decision = decide_one(make_draft(), predictor=ScriptedPredictor((0.01, 0.02, 0.01)))
    assert channels_of(decision) == ["push"]


def test_further_channels_need_a_category_that_allows_them_and_a_score_above_the_threshold():
    pair = msgspec.structs.replace(SERVICE, max_channels=2)
    every = msgspec.structs.replace(SERVICE, max_channels=3)
    assert channels_of(decide_one(make_draft(SERVICE))) == ["push"]
    assert channels_of(decide_one(make_draft(pair))) == ["push", "sms"]
    assert channels_of(decide_one(make_draft(every))) == ["push", "sms"]
    at_threshold = ScriptedPredictor((0.5, 0.3, 0.1))
    assert channels_of(decide_one(make_draft(every), predictor=at_threshold)) == ["email"]


@pytest.mark.parametrize("selection", ["all", "specified"])
def test_all_and_specified_take_every_open_channel_best_first(selection: str):
    draft = make_draft(selection=selection, requested=EMAIL | SMS)
    decision = decide_one(draft)
    assert channels_of(decision) == ["sms", "email"]
    assert rules_of(decision) == {"push": "not_requested"}


def test_a_request_that_names_channels_restricts_optimal_too():
    assert channels_of(decide_one(make_draft(requested=EMAIL | SMS))) == ["sms"]


def test_channels_without_a_difference_are_taken_in_canonical_order():
    assert channels_of(decide_one(make_draft(), predictor=ScriptedPredictor((0.2, 0.2, 0.2)))) == ["email"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_prior_follows_the_channel_that_the_user_named_as_hers(channel: str):
    decision = decide_one(make_draft(), make_card(preferred_channel=channel), NeutralPrior())
    assert channels_of(decision) == [channel]


@pytest.mark.parametrize(
    ("rule", "draft", "card"),
    [
        ("not_requested", {"requested": EMAIL | SMS}, {}),
        ("category_channel", {"category": msgspec.structs.replace(SERVICE, channels=EMAIL | SMS)}, {}),
        ("unreachable", {}, {"reachable": EMAIL | SMS}),
        ("template_channel_missing", {"rendered": EMAIL | SMS}, {}),
        ("suppressed", {}, {"consent": ConsentState(suppressed=PUSH)}),
        ("consent_denied", {}, {"consent": ConsentState(denied={"service": PUSH})}),
        (
            "consent_missing",
            {"category": MARKETING},
            {"consent": ConsentState(granted={"marketing": EMAIL | SMS})},
        ),
        ("preference", {}, {"preferences": {"service": PUSH}}),
        ("preference", {}, {"preferences": {"*": PUSH}}),
    ],
)
def test_each_rule_takes_its_channel_and_leaves_the_next_best(
    rule: str, draft: dict[str, Any], card: dict[str, Any]
):
    decision = decide_one(make_draft(**draft), make_card(**card))
    assert channels_of(decision) == ["sms"]
    assert rules_of(decision) == {"push": rule, "email": "lower_score"}


def test_of_several_rules_the_first_is_told():
    card = make_card(reachable=0, consent=ConsentState(suppressed=PUSH, denied={"*": PUSH}))
    assert rules_of(decide_one(make_draft(requested=PUSH), card)) == {
        "email": "not_requested",
        "push": "unreachable",
        "sms": "not_requested",
    }


def test_a_message_that_may_go_nowhere_is_blocked_with_all_its_reasons():
    decision = decide_one(make_draft(MARKETING), make_card(consent=NO_CONSENT, reachable=EMAIL | PUSH))
    assert (decision.status, decision.choices, decision.alternatives) == ("blocked", (), ())
    assert (decision.engagement, decision.optimal_ms) == (0, 0)
    assert rules_of(decision) == {
        "email": "consent_missing",
        "push": "consent_missing",
        "sms": "unreachable",
    }


def test_scores_are_told_of_channels_that_a_rule_took():
    assert decide_one(make_draft(), make_card(reachable=EMAIL)).scores == (0.2, 0.5, 0.4)


def test_the_requests_category_governs():
    nobody_asked = make_card(consent=NO_CONSENT)
    assert decide_one(make_draft(TRANSACTIONAL), nobody_asked).status == "queued"
    assert decide_one(make_draft(MARKETING), nobody_asked).status == "blocked"


def test_a_decision_survives_the_json_it_is_kept_in():
    decision = decide_one(make_draft(selection="all"))
    assert msgspec.json.decode(msgspec.json.encode(decision), type=Decision) == decision
