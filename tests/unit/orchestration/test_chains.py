"""When a notification goes on to its next channel."""

from __future__ import annotations

import pytest

from clarion.contracts.commands import FallbackStep
from clarion.orchestration.chains import Leg, Look, Over, Take, first_look, judge

NOW = 1_800_000_000_000
MINUTE = 60_000
SMS = FallbackStep("sms", 300)
EMAIL = FallbackStep("email", 60, "engaged")


def leg(status: str, channel: str = "push", *, due_ms: int = 0, sent_ms: int = 0) -> Leg:
    return Leg(b"d" * 16, channel, status, NOW, due_ms, sent_ms)


def test_it_waits_for_its_time_from_when_the_message_went_out():
    assert judge([SMS], 0, [leg("sent", sent_ms=NOW + MINUTE)], 0, NOW + 5 * MINUTE) == Look(NOW + 6 * MINUTE)
    assert judge([SMS], 0, [leg("sent", sent_ms=NOW + MINUTE)], 0, NOW + 6 * MINUTE) == Take(0)


def test_retries_do_not_move_the_time_and_a_deferral_does():
    retried = leg("retrying", due_ms=NOW + 9 * MINUTE)
    deferred = leg("deferred", due_ms=NOW + 9 * MINUTE)
    assert judge([SMS], 0, [retried], 0, NOW + 5 * MINUTE) == Take(0)
    assert judge([SMS], 0, [deferred], 0, NOW + 5 * MINUTE) == Look(NOW + 14 * MINUTE)


@pytest.mark.parametrize("status", ["failed", "expired", "blocked"])
def test_where_it_failed_the_next_channel_is_taken_at_once(status: str):
    assert judge([SMS], 0, [leg(status)], 0, NOW) == Take(0)


def test_what_was_cancelled_goes_on_to_nothing_unless_the_chain_itself_did_it():
    assert judge([SMS], 0, [leg("cancelled")], 0, NOW) == Over("cancelled")
    dropped = Leg(b"d" * 16, "push", "cancelled", NOW, is_dropped=True)
    assert judge([SMS], 0, [dropped], 0, NOW) == Take(0)


def test_what_became_of_an_unknown_one_is_waited_for():
    assert judge([SMS], 0, [leg("unknown")], 0, NOW) == Look(NOW + 5 * MINUTE)


@pytest.mark.parametrize(
    ("unless", "status", "is_enough"),
    [
        ("sent", "sent", True),
        ("sent", "unknown", False),
        ("delivered", "sent", False),
        ("delivered", "delivered", True),
        ("delivered", "engaged", True),
        ("engaged", "delivered", False),
        ("engaged", "engaged", True),
    ],
)
def test_it_ends_when_the_message_has_come_as_far_as_was_wanted(unless: str, status: str, *, is_enough: bool):
    step = FallbackStep("sms", 300, unless)  # pyright: ignore[reportArgumentType]
    verdict = judge([step], 0, [leg(status)], 0, NOW + 10 * MINUTE)
    assert verdict == (Over("succeeded") if is_enough else Take(0))


def test_one_channel_that_reached_her_is_enough():
    assert judge([SMS], 0, [leg("failed", "email"), leg("delivered")], 0, NOW) == Over("succeeded")


def test_a_channel_that_has_a_delivery_is_passed_over():
    legs = [leg("failed"), leg("failed", "sms")]
    assert judge([SMS, EMAIL], 0, legs, 0, NOW) == Take(1)
    assert judge([SMS], 0, legs, 0, NOW) == Over("exhausted")


def test_nothing_is_begun_after_the_expiry():
    assert judge([SMS], 0, [leg("failed")], NOW, NOW) == Over("expired")
    assert judge([SMS], 0, [leg("sent")], NOW + MINUTE, NOW) == Look(NOW + MINUTE)


def test_a_new_chain_is_first_looked_at_when_its_last_delivery_has_had_its_time():
    assert first_look([SMS], [NOW, NOW + MINUTE], NOW) == NOW + 6 * MINUTE
    assert first_look([SMS], [], NOW) == NOW
