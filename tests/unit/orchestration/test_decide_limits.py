"""Caps, quotas, budgets and prices; and rows of one batch before one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from clarion.contracts.channels import CHANNELS
from clarion.orchestration.decide import decide
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, Decision, Draft
from clarion.tenancy.model import Caps, Category, QuietHours
from clarion.testing.decisions import SERVICE, ScriptedPredictor, make_card, make_draft


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = utc_ms("2026-11-25T12:00")
TOMORROW = utc_ms("2026-11-26T00:00")
LIKES_EMAIL = ScriptedPredictor((0.6, 0.5, 0.4))
INF = float("inf")


def capped(per_day: int | None = None, **per_channel_day: int) -> Category:
    return msgspec.structs.replace(SERVICE, caps=Caps(per_day, per_channel_day))


def decide_drafts(drafts: Sequence[Draft], limits: Limits | None = None, **card: Any) -> list[Decision]:
    """Decisions on drafts to one and the same user."""
    candidates = [Candidate(draft, make_card(**card)) for draft in drafts]
    return decide(candidates, LIKES_EMAIL, limits or Limits(), NOON)


def decide_users(count: int, limits: Limits, draft: Draft | None = None) -> list[Decision]:
    """Decisions on one draft to many users."""
    candidates = [Candidate(draft or make_draft(), make_card(user)) for user in range(count)]
    return decide(candidates, LIKES_EMAIL, limits, NOON)


def plan_of(decision: Decision) -> list[tuple[str, int]]:
    return [(CHANNELS[choice.channel], choice.due_ms) for choice in decision.choices]


def rules_of(decision: Decision) -> dict[str, str]:
    return {reason.channel: reason.rule for reason in decision.reasons}


# ------------------------------------------------------------------------------------------------------------- caps


def test_a_cap_that_is_reached_moves_the_message_to_the_next_local_day():
    draft = make_draft(capped(3), caps_used=(3, 3, 0, 0))
    [decision] = decide_drafts([draft])
    assert decision.status == "deferred"
    assert plan_of(decision) == [("email", TOMORROW)]
    assert decision.choices[0].rule == "frequency_cap"
    [in_tokyo] = decide_drafts([draft], timezone="Asia/Tokyo")
    assert plan_of(in_tokyo) == [("email", utc_ms("2026-11-25T15:00"))]


def test_a_cap_with_a_place_left_lets_go():
    [decision] = decide_drafts([make_draft(capped(3), caps_used=(2, 2, 0, 0))])
    assert plan_of(decision) == [("email", 0)]


def test_a_channels_own_cap_leaves_the_other_channels():
    [decision] = decide_drafts([make_draft(capped(email=1), caps_used=(1, 1, 0, 0))])
    assert plan_of(decision) == [("push", 0)]
    assert rules_of(decision)["email"] == "frequency_cap"


def test_the_message_moves_as_one():
    draft = make_draft(capped(email=1), caps_used=(1, 1, 0, 0), selection="all")
    [decision] = decide_drafts([draft])
    assert plan_of(decision) == [("push", 0), ("sms", 0)]
    assert rules_of(decision) == {"email": "frequency_cap"}


def test_a_channel_that_cannot_move_along_is_told_what_stops_it_there():
    draft = make_draft(capped(email=1), caps_used=(1, 1, 0, 0), tenant_quiet_hours=QuietHours(0, 13 * 60))
    [decision] = decide_drafts([draft])
    assert plan_of(decision) == [("push", utc_ms("2026-11-25T13:00"))]
    assert decision.choices[0].rule == "quiet_hours"
    assert rules_of(decision)["email"] == "frequency_cap"


def test_a_cap_of_none_blocks():
    [decision] = decide_drafts([make_draft(capped(0))])
    assert decision.status == "blocked"
    assert set(rules_of(decision).values()) == {"frequency_cap"}


def test_transactional_messages_know_no_caps():
    receipts = Category("receipts", "transactional", caps=Caps(per_day=1))
    decisions = decide_drafts([make_draft(receipts, caps_used=(9, 9, 9, 9))] * 3)
    assert {decision.status for decision in decisions} == {"queued"}


def test_optimal_finds_its_best_hour_among_the_days_with_a_place():
    draft = make_draft(capped(1), caps_used=(1, 1, 0, 0), send_time="optimal")
    predictor = ScriptedPredictor((0.3, 0.2, 0.1), peaks={0: 18})
    [decision] = decide([Candidate(draft, make_card())], predictor, Limits(), NOON)
    assert plan_of(decision) == [("email", utc_ms("2026-11-26T18:00"))]
    assert decision.status == "ml_scheduled"


def test_todays_count_says_nothing_about_a_scheduled_day():
    at = utc_ms("2026-12-01T10:00")
    draft = make_draft(capped(1), caps_used=(1, 1, 0, 0), send_time="scheduled", scheduled_ms=at)
    [decision] = decide_drafts([draft])
    assert plan_of(decision) == [("email", at)]


# -------------------------------------------------------------------------------------------------- rows before


def test_rows_before_count_and_the_next_days_fill_up_in_turn():
    decisions = decide_drafts([make_draft(capped(2))] * 7)
    days = [0, 0, TOMORROW, TOMORROW, TOMORROW + 86_400_000, TOMORROW + 86_400_000]
    assert [plan_of(d) for d in decisions[:6]] == [[("email", day)] for day in days]
    # The horizon ends at noon of the third day after: there is a place left on that.
    assert plan_of(decisions[6]) == [("email", TOMORROW + 2 * 86_400_000)]


def test_rows_before_count_together_with_what_the_user_already_has():
    decisions = decide_drafts([make_draft(capped(3), caps_used=(2, 2, 0, 0))] * 2)
    assert [d.status for d in decisions] == ["queued", "deferred"]


def test_rows_before_count_by_channel():
    decisions = decide_drafts([make_draft(capped(email=1, push=1))] * 3)
    assert [plan_of(d)[0][0] for d in decisions] == ["email", "push", "sms"]


def test_rows_of_other_users_and_other_categories_do_not_count():
    one = capped(1)
    other = msgspec.structs.replace(one, name="other")
    candidates = [
        Candidate(make_draft(one), make_card(1)),
        Candidate(make_draft(one), make_card(2)),
        Candidate(make_draft(other), make_card(1)),
    ]
    decisions = decide(candidates, LIKES_EMAIL, Limits(), NOON)
    assert [d.status for d in decisions] == ["queued"] * 3


def test_a_row_that_is_blocked_takes_no_place():
    drafts = [make_draft(capped(1), requested=0), make_draft(capped(1))]
    assert [d.status for d in decide_drafts(drafts)] == ["blocked", "queued"]


def test_channels_of_one_message_share_the_days_places_best_first():
    [decision] = decide_drafts([make_draft(capped(2), selection="all")])
    assert plan_of(decision) == [("email", 0), ("push", 0)]
    assert rules_of(decision) == {"sms": "frequency_cap"}


def test_what_a_message_took_on_every_channel_counts_for_the_next():
    decisions = decide_drafts([make_draft(capped(4), selection="all")] * 2)
    assert [len(d.choices) for d in decisions] == [3, 1]


def test_a_scheduled_row_takes_its_place_on_its_own_day():
    tomorrow_noon = NOON + 86_400_000
    later = make_draft(capped(1), send_time="scheduled", scheduled_ms=tomorrow_noon)
    decisions = decide_drafts([later, make_draft(capped(1)), later])
    assert [plan_of(d)[0][1] for d in decisions] == [tomorrow_noon, 0, TOMORROW + 86_400_000]


# ------------------------------------------------------------------------------------------------ quotas and budgets


def test_a_quota_is_served_in_order_and_then_the_next_best_channel():
    limits = Limits(quota=np.array([[2, 1, INF]]))
    decisions = decide_users(5, limits)
    assert [plan_of(d)[0][0] for d in decisions] == ["email", "email", "push", "sms", "sms"]
    assert rules_of(decisions[4]) == {"email": "quota", "push": "quota"}


def test_a_quota_that_is_used_up_blocks():
    [decision] = decide_users(1, Limits(quota=np.zeros((1, 3))))
    assert decision.status == "blocked"
    assert set(rules_of(decision).values()) == {"quota"}


def test_a_budget_is_spent_in_order_and_never_overdrawn():
    prices = np.tile([0.5, 0.125, 0.25], (6, 1))
    limits = Limits(cost=prices, budget=np.array([1.25]))
    dear_but_liked = ScriptedPredictor((0.9, 0.2, 0.1))
    candidates = [Candidate(make_draft(), make_card(user)) for user in range(6)]
    decisions = decide(candidates, dear_but_liked, limits, NOON)
    taken = [choice.channel for d in decisions for choice in d.choices]
    assert [CHANNELS[c] for c in taken] == ["email", "email", "push", "push"]
    assert [d.status for d in decisions[4:]] == ["blocked", "blocked"]
    assert rules_of(decisions[5]) == {"email": "budget", "push": "budget", "sms": "budget"}


def test_channels_of_one_message_share_the_budget_best_first():
    limits = Limits(cost=np.ones((1, 3)), budget=np.array([2.0]))
    [decision] = decide_users(1, limits, make_draft(selection="all"))
    assert plan_of(decision) == [("email", 0), ("push", 0)]
    assert rules_of(decision) == {"sms": "budget"}


def test_accounts_do_not_pay_for_one_another():
    limits = Limits(account=np.array([0, 1, 0, 1]), quota=np.array([[1, INF, INF], [INF, INF, INF]]))
    decisions = decide_users(4, limits)
    assert [plan_of(d)[0][0] for d in decisions] == ["email", "email", "push", "email"]


def test_a_free_message_needs_no_budget():
    [decision] = decide_users(1, Limits(budget=np.zeros(1)))
    assert decision.status == "queued"
    assert decision.scores == (0.6, 0.5, 0.4)


# ------------------------------------------------------------------------------------------------------ the formula


@pytest.mark.parametrize(
    ("cost", "fatigue", "factor"),
    [(0.0, 0.0, 1.0), (0.25, 0.0, 0.75), (0.9, 0.0, 0.5), (0.0, 1.0, 0.7), (0.25, 0.5, 0.75 * 0.85)],
)
def test_the_score_is_the_specified_formula(cost: float, fatigue: float, factor: float):
    predictor = ScriptedPredictor((0.8, 0.1, 0.1), fatigue=(fatigue, 0, 0))
    limits = Limits(cost=np.array([[cost, 0, 0]]), budget=np.array([1.0]))
    [decision] = decide([Candidate(make_draft(), make_card())], predictor, limits, NOON)
    assert decision.scores[0] == pytest.approx(0.8 * factor, abs=1e-6)
    assert decision.engagement == pytest.approx(0.8, abs=1e-6)


def test_price_tips_the_balance_between_equals():
    limits = Limits(cost=np.array([[0.3, 0.1, 0.2]]), budget=np.array([1.0]))
    candidates = [Candidate(make_draft(), make_card())]
    [decision] = decide(candidates, ScriptedPredictor((0.5, 0.5, 0.5)), limits, NOON)
    assert plan_of(decision) == [("push", 0)]


def test_a_batch_of_hundreds_to_one_user_keeps_every_days_cap():
    decisions = decide_drafts([make_draft(capped(3), send_time="optimal")] * 200)
    per_day = Counter(
        datetime.fromtimestamp((choice.due_ms or NOON) / 1000, UTC).date()
        for decision in decisions
        for choice in decision.choices
    )
    assert len(per_day) == 4
    assert set(per_day.values()) == {3}
    assert sum(decision.status == "blocked" for decision in decisions) == 200 - 12
