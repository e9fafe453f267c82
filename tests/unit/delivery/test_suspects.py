from __future__ import annotations

from clarion.delivery.suspects import (
    MAX_CRASHES,
    MAX_DELIVERIES,
    TRIAL_BATCH,
    Suspicion,
    describe_error,
    plan_trials,
    wait_ms,
)
from clarion.kernel.errors import Invalid


def ident(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_one_crash_is_tried_with_few_others():
    many = [Suspicion(ident(i), crashes=1, deliveries=0) for i in range(2 * TRIAL_BATCH + 1)]

    trials = plan_trials(many)

    assert [len(group) for group in trials.groups] == [TRIAL_BATCH, TRIAL_BATCH, 1]
    assert trials.alone == trials.hopeless == []


def test_what_one_more_crash_would_bury_goes_alone():
    trials = plan_trials([Suspicion(ident(1), MAX_CRASHES - 1, 0), Suspicion(ident(2), 0, 2)])

    assert trials.alone == [ident(1), ident(2)]


def test_what_used_up_its_crashes_or_its_claims_is_beyond_hope():
    trials = plan_trials([Suspicion(ident(1), MAX_CRASHES, 0), Suspicion(ident(2), 0, MAX_DELIVERIES)])

    assert trials.hopeless == [ident(1), ident(2)]
    assert trials.groups == trials.alone == []


def test_each_claim_that_comes_to_nothing_makes_the_wait_longer():
    waits = [wait_ms(n) for n in range(1, MAX_DELIVERIES)]

    assert waits == sorted(set(waits))
    assert sum(waits) < 60_000, "what is mended by a restart is tried again within a minute"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_an_error_is_told_by_type_and_place_and_not_by_what_it_says():
    told = describe_error(raised(KeyError("ada@example.com")))

    assert told.startswith("KeyError at test_suspects.py:")
    assert "ada" not in told


def test_an_error_of_ours_is_told_in_its_words():
    assert describe_error(raised(Invalid("is no colour", "hue"))).endswith(": is no colour")


def test_an_error_that_was_never_raised_is_told_too():
    assert describe_error(ValueError("x")) == "ValueError at ?"
