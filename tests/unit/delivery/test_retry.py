"""Back-off: growth, caps, floors, expiry. What holds for every outcome is below, as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.model import Outcome
from clarion.delivery.retry import BACKOFFS, GiveUp, Retry, next_attempt

NOW = 1_800_000_000_000
ALMOST_ONE = 0.999999
MINUTE = 60_000


def outcome(kind: str, retry_after_s: float = 0.0) -> Outcome:
    return Outcome(b"d" * 16, kind, retry_after_s=retry_after_s)  # pyright: ignore[reportArgumentType]


def delay(made: Outcome, attempt: int, random: float) -> int:
    decision = next_attempt(made, attempt, NOW, 0, random)
    assert isinstance(decision, Retry)
    return decision.due_ms - NOW


def test_the_ceiling_doubles_with_each_attempt_up_to_the_cap():
    ceilings = [round(delay(outcome("transient"), attempt, ALMOST_ONE), -2) for attempt in (1, 2, 3, 10, 29)]
    assert ceilings == [2_000, 4_000, 8_000, 15 * MINUTE, 15 * MINUTE]


def test_jitter_is_drawn_from_the_whole_range():
    assert delay(outcome("transient"), 5, 0.0) == 1
    assert delay(outcome("transient"), 5, 0.5) == 16_000


def test_a_pause_that_the_provider_named_is_a_floor_with_the_jitter_on_top():
    assert delay(outcome("throttled", retry_after_s=30), 1, 0.0) == 30_001
    assert delay(outcome("throttled", retry_after_s=30), 1, 0.5) == 30_500
    assert delay(outcome("transient", retry_after_s=300), 1, 0.0) >= 5 * MINUTE


def test_no_provider_parks_a_message_for_more_than_a_day():
    assert delay(outcome("throttled", retry_after_s=1e9), 1, 0.0) == 24 * 60 * MINUTE + 1


def test_a_permanent_failure_is_final_at_once():
    assert next_attempt(outcome("permanent"), 1, NOW, 0, 0.5) == GiveUp("failed", "permanent")


def test_used_up_attempts_end_as_failed_but_as_unknown_where_one_may_have_arrived():
    assert next_attempt(outcome("transient"), 30, NOW, 0, 0.5) == GiveUp("failed", "max_attempts")
    assert next_attempt(outcome("ambiguous"), 5, NOW, 0, 0.5) == GiveUp("unknown", "max_attempts")


def test_a_greylisted_one_time_code_expires_before_its_five_minutes_are_over():
    greylisted = outcome("transient", retry_after_s=300)
    assert next_attempt(greylisted, 1, NOW, NOW + 5 * MINUTE, 0.0) == GiveUp("expired", "expiry")


def test_an_outage_of_half_an_hour_does_not_use_up_the_attempts():
    """With full jitter an attempt's mean delay is half its ceiling; the median run must outlive the outage by far."""
    span = sum(delay(outcome("transient"), attempt, 0.5) for attempt in range(1, 30))
    assert span > 2 * 60 * MINUTE


def test_a_sent_message_is_no_failure():
    with pytest.raises(ValueError, match="not tried again"):
        next_attempt(outcome("sent"), 1, NOW, 0, 0.5)


@given(
    kind=st.sampled_from(["transient", "throttled", "permanent", "ambiguous"]),
    attempt=st.integers(1, 10**9),
    lifetime=st.integers(0, 10**9),
    random=st.floats(0, 1, exclude_max=True),
    retry_after=st.floats(0, 1e12),
)
def test_a_retry_is_in_the_future_within_its_bounds_and_never_past_the_expiry(
    kind: str, attempt: int, lifetime: int, random: float, retry_after: float
):
    expires = NOW + lifetime if lifetime else 0
    decision = next_attempt(outcome(kind, retry_after), attempt, NOW, expires, random)
    if isinstance(decision, GiveUp):
        assert decision.rule != "expiry" or expires
        return
    waited = decision.due_ms - NOW
    floor = min(retry_after * 1000, 24 * 60 * MINUTE)
    cap = next(b.cap_ms for k, b in BACKOFFS.items() if k == kind)
    assert waited > 0
    assert floor - 1 <= waited <= floor + cap + 1
    assert attempt < 200
    assert not expires or decision.due_ms < expires


@given(random=st.floats(0, 1, exclude_max=True), attempt=st.integers(1, 28))
def test_the_same_draw_never_waits_less_after_one_more_attempt(random: float, attempt: int):
    assert delay(outcome("transient"), attempt, random) <= delay(outcome("transient"), attempt + 1, random)
