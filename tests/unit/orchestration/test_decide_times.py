"""When a decision sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clarion.audience.model import Card
from clarion.intelligence.serving import NeutralPrior
from clarion.orchestration.decide import decide
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, Decision, Draft, Reason
from clarion.tenancy.model import QuietHours
from clarion.testing.decisions import (
    MARKETING,
    SECURITY,
    SERVICE,
    TRANSACTIONAL,
    ScriptedPredictor,
    make_card,
    make_draft,
)

NIGHT = QuietHours(22 * 60, 8 * 60)
HOUR = 3_600_000
EMAIL_AT_SIX = ScriptedPredictor((0.3, 0.2, 0.1), peaks={0: 18})


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = utc_ms("2026-11-25T12:00")
MIDNIGHT_ISH = utc_ms("2026-11-25T23:20")


def decide_at(now_ms: int, draft: Draft, card: Card | None = None, predictor: Any = EMAIL_AT_SIX) -> Decision:
    [decision] = decide([Candidate(draft, card or make_card())], predictor, Limits(), now_ms)
    return decision


def due_of(decision: Decision) -> tuple[str, int, str]:
    [choice] = decision.choices
    assert decision.status == choice.status
    return choice.status, choice.due_ms, choice.rule


def test_now_is_due_at_once():
    assert due_of(decide_at(NOON, make_draft())) == ("queued", 0, "")


def test_now_in_quiet_hours_moves_to_the_first_allowed_hour_and_says_why():
    decision = decide_at(MIDNIGHT_ISH, make_draft(tenant_quiet_hours=NIGHT))
    assert due_of(decision) == ("deferred", utc_ms("2026-11-26T08:00"), "quiet_hours")
    assert Reason("email", "quiet_hours", "moved") in decision.reasons
    assert decision.optimal_ms == utc_ms("2026-11-26T08:00")


def test_an_hour_is_allowed_only_as_a_whole():
    draft = make_draft(tenant_quiet_hours=QuietHours(22 * 60, 8 * 60 + 15))
    assert due_of(decide_at(MIDNIGHT_ISH, draft))[1] == utc_ms("2026-11-26T09:00")


def test_the_present_is_tested_at_its_instant():
    draft = make_draft(tenant_quiet_hours=NIGHT)
    assert due_of(decide_at(utc_ms("2026-11-25T21:59:59.999"), draft))[0] == "queued"
    assert due_of(decide_at(utc_ms("2026-11-25T22:00"), draft))[0] == "deferred"


def test_the_users_own_quiet_hours_count_beside_the_tenants():
    draft, card = make_draft(tenant_quiet_hours=NIGHT), make_card(quiet_hours=QuietHours(7 * 60, 10 * 60))
    assert due_of(decide_at(MIDNIGHT_ISH, draft, card))[1] == utc_ms("2026-11-26T10:00")
    assert due_of(decide_at(utc_ms("2026-11-25T09:00"), make_draft(), card))[1] == utc_ms("2026-11-25T10:00")


@pytest.mark.parametrize("category", [TRANSACTIONAL, SECURITY])
def test_transactional_messages_know_no_quiet_hours(category: Any):
    draft = make_draft(category, tenant_quiet_hours=NIGHT)
    assert due_of(decide_at(MIDNIGHT_ISH, draft)) == ("queued", 0, "")


def test_night_is_where_the_user_lives():
    draft = make_draft(tenant_quiet_hours=NIGHT)
    assert due_of(decide_at(NOON, draft, make_card(timezone="Europe/Berlin")))[0] == "queued"
    in_california = decide_at(NOON, draft, make_card(timezone="America/Los_Angeles"))
    assert due_of(in_california) == ("deferred", utc_ms("2026-11-25T16:00"), "quiet_hours")


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus"])
def test_an_unknown_zone_falls_back_to_the_drafts(timezone: str):
    draft = make_draft(tenant_quiet_hours=NIGHT, fallback_timezone="America/Los_Angeles")
    assert due_of(decide_at(NOON, draft, make_card(timezone=timezone)))[1] == utc_ms("2026-11-25T16:00")


def test_hours_are_those_of_the_local_clock_in_half_hour_zones():
    draft = make_draft(tenant_quiet_hours=NIGHT)
    in_india = decide_at(utc_ms("2026-11-25T20:00"), draft, make_card(timezone="Asia/Kolkata"))
    assert due_of(in_india)[1] == utc_ms("2026-11-26T02:30")
    in_nepal = decide_at(utc_ms("2026-11-25T20:00"), draft, make_card(timezone="Asia/Kathmandu"))
    assert due_of(in_nepal)[1] == utc_ms("2026-11-26T02:15")


def test_optimal_waits_for_the_best_hour():
    decision = decide_at(NOON, make_draft(send_time="optimal"))
    assert due_of(decision) == ("ml_scheduled", utc_ms("2026-11-25T18:00"), "")
    assert decision.engagement == 0.6
    assert decision.alternatives[0] == (0, utc_ms("2026-11-26T18:00"), 0.6)


def test_optimal_goes_at_once_where_the_present_is_the_best_hour():
    decision = decide_at(utc_ms("2026-11-25T18:40"), make_draft(send_time="optimal"))
    assert due_of(decision) == ("queued", 0, "")


def test_optimal_never_sends_into_quiet_hours_however_good_they_are():
    draft = make_draft(send_time="optimal", tenant_quiet_hours=QuietHours(17 * 60, 20 * 60))
    decision = decide_at(NOON, draft)
    assert due_of(decision)[:2] == ("queued", 0)
    assert decision.scores[0] == 0.6


def test_optimal_looks_no_further_than_the_expiry():
    draft = make_draft(send_time="optimal", expires_ms=NOON + 2 * HOUR)
    assert due_of(decide_at(NOON, draft)) == ("queued", 0, "")


def test_optimal_looks_into_the_very_last_hour_before_the_expiry():
    draft = make_draft(send_time="optimal", expires_ms=utc_ms("2026-11-25T18:01"))
    decision = decide_at(utc_ms("2026-11-25T12:30"), draft)
    assert due_of(decision)[1] == utc_ms("2026-11-25T18:00")


def test_optimal_looks_three_days_ahead_and_no_further():
    far = QuietHours(0, 23 * 60)  # one hour a day is left
    decision = decide_at(NOON, make_draft(send_time="optimal", tenant_quiet_hours=far))
    offered = {decision.choices[0].due_ms, *(at_ms for _, at_ms, _ in decision.alternatives)}
    assert offered == {utc_ms(f"2026-11-{day}T23:00") for day in (25, 26, 27)}


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_urgent_messages_do_not_wait_for_a_better_hour(priority: int):
    draft = make_draft(send_time="optimal", priority=priority)
    assert due_of(decide_at(NOON, draft)) == ("queued", 0, "")


def test_urgency_does_not_break_quiet_hours():
    draft = make_draft(send_time="optimal", priority=0, tenant_quiet_hours=NIGHT)
    assert due_of(decide_at(MIDNIGHT_ISH, draft))[0] == "deferred"


def test_scheduled_goes_at_its_minute_even_weeks_ahead():
    at = utc_ms("2027-01-20T09:41")
    decision = decide_at(NOON, make_draft(send_time="scheduled", scheduled_ms=at))
    assert due_of(decision) == ("scheduled", at, "")


def test_scheduled_into_the_night_moves_to_the_morning_after():
    at = utc_ms("2027-01-20T23:41")
    draft = make_draft(send_time="scheduled", scheduled_ms=at, tenant_quiet_hours=NIGHT)
    assert due_of(decide_at(NOON, draft)) == ("deferred", utc_ms("2027-01-21T08:00"), "quiet_hours")


def test_scheduled_keeps_its_time_whatever_its_priority():
    at = NOON + 5 * HOUR
    draft = make_draft(send_time="scheduled", scheduled_ms=at, priority=0)
    assert due_of(decide_at(NOON, draft)) == ("scheduled", at, "")


def test_a_schedule_that_has_just_passed_means_now():
    draft = make_draft(send_time="scheduled", scheduled_ms=NOON - 1000)
    assert due_of(decide_at(NOON, draft)) == ("queued", 0, "")
    at_nightfall = make_draft(
        send_time="scheduled", scheduled_ms=utc_ms("2026-11-25T21:59:59"), tenant_quiet_hours=NIGHT
    )
    assert due_of(decide_at(utc_ms("2026-11-25T22:00"), at_nightfall))[0] == "deferred"


def test_what_expires_before_the_morning_is_blocked_by_its_expiry():
    draft = make_draft(tenant_quiet_hours=NIGHT, expires_ms=MIDNIGHT_ISH + HOUR)
    decision = decide_at(MIDNIGHT_ISH, draft)
    assert (decision.status, decision.choices) == ("blocked", ())
    assert {reason.rule for reason in decision.reasons} == {"expiry"}


@pytest.mark.parametrize("send_time", ["now", "optimal"])
@pytest.mark.parametrize("expires_ms", [NOON, NOON - 1])
def test_what_has_expired_is_blocked(send_time: Any, expires_ms: int):
    decision = decide_at(NOON, make_draft(send_time=send_time, expires_ms=expires_ms))
    assert decision.status == "blocked"
    assert {reason.rule for reason in decision.reasons} == {"expiry"}
    assert decision.scores == (0.3, 0.2, 0.1)


def test_quiet_hours_without_end_block_and_do_not_wait_for_ever():
    always = make_card(quiet_hours=QuietHours(8 * 60, 22 * 60))
    decision = decide_at(NOON, make_draft(tenant_quiet_hours=NIGHT), always)
    assert decision.status == "blocked"
    assert {reason.rule for reason in decision.reasons} == {"quiet_hours"}


def test_each_channel_of_a_message_has_its_own_best_hour():
    predictor = ScriptedPredictor((0.3, 0.2, 0.1), peaks={0: 18, 1: 15})
    draft = make_draft(send_time="optimal", selection="all")
    decision = decide_at(NOON, draft, predictor=predictor)
    assert [(c.channel, c.status, c.due_ms) for c in decision.choices] == [
        (0, "ml_scheduled", utc_ms("2026-11-25T18:00")),
        (1, "ml_scheduled", utc_ms("2026-11-25T15:00")),
        (2, "queued", 0),
    ]
    assert decision.status == "queued"


def test_the_prior_prefers_the_day_to_the_night():
    for hour in range(24):
        now = utc_ms(f"2026-11-25T{hour:02}:30")
        decision = decide_at(now, make_draft(MARKETING, send_time="optimal"), predictor=NeutralPrior())
        assert 9 <= datetime.fromtimestamp(decision.optimal_ms / 1000, UTC).hour <= 18
        assert decision.confidence == 0.1


def test_the_night_the_clocks_change_has_its_hours_twice_or_not_at_all():
    berlin = make_card(timezone="Europe/Berlin")
    spring = make_draft(
        tenant_quiet_hours=QuietHours(0, 2 * 60)
    )  # 02:00 does not happen: the next hour is 03:00
    assert due_of(decide_at(utc_ms("2026-03-29T00:10"), spring, berlin))[1] == utc_ms("2026-03-29T01:00")
    autumn = make_draft(tenant_quiet_hours=QuietHours(0, 3 * 60))  # 02:00 happens twice: both are quiet
    assert due_of(decide_at(utc_ms("2026-10-25T00:10"), autumn, berlin))[1] == utc_ms("2026-10-25T02:00")


def test_a_batch_of_now_reaches_far_only_for_those_who_must_wait():
    draft = make_draft(SERVICE, tenant_quiet_hours=NIGHT)
    zones = ["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"]
    candidates = [Candidate(draft, make_card(i, timezone=zone)) for i, zone in enumerate(zones)]
    together = decide(candidates, EMAIL_AT_SIX, Limits(), NOON)
    alone = [decide([candidate], EMAIL_AT_SIX, Limits(), NOON)[0] for candidate in candidates]
    assert together == alone
    assert [d.status for d in together] == ["queued", "deferred", "queued"]
