"""What follows from everything that a user said."""

from __future__ import annotations

import pytest

from clarion.compliance.consent import fold
from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.compliance.ports import ConsentRecord

EMAIL, PUSH, SMS = 0b001, 0b010, 0b100


def yes(channel: str, category: str, at_ms: int) -> ConsentRecord:
    return ConsentRecord(channel, category, consented=True, at_ms=at_ms)


def no(channel: str, category: str, at_ms: int) -> ConsentRecord:
    return ConsentRecord(channel, category, consented=False, at_ms=at_ms)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ([], NO_CONSENT),
        ([yes("email", "news", 1)], ConsentState({"news": EMAIL})),
        ([yes("email", "news", 1), yes("sms", "news", 1)], ConsentState({"news": EMAIL | SMS})),
        (
            [yes("email", "news", 1), no("email", "news", 2)],
            ConsentState({}, {"news": EMAIL}),
        ),
        (
            [no("email", "news", 2), yes("email", "news", 1)],
            ConsentState({}, {"news": EMAIL}),
        ),
        (
            [yes("email", "news", 1), no("email", "news", 1)],
            ConsentState({}, {"news": EMAIL}),
        ),
        (
            [no("email", "news", 1), yes("email", "news", 1)],
            ConsentState({}, {"news": EMAIL}),
        ),
        ([yes("email", "news", 1), no("email", "*", 2)], ConsentState({}, {"*": EMAIL})),
        ([no("email", "news", 1), yes("email", "*", 2)], ConsentState({"*": EMAIL})),
        ([yes("email", "news", 1), no("email", "*", 1)], ConsentState({}, {"*": EMAIL})),
        (
            [no("email", "*", 1), yes("email", "news", 2)],
            ConsentState({"news": EMAIL}, {"*": EMAIL}),
        ),
        (
            [yes("email", "*", 1), no("email", "news", 2)],
            ConsentState({"*": EMAIL}, {"news": EMAIL}),
        ),
        (
            [no("push", "*", 9), yes("email", "news", 1)],
            ConsentState({"news": EMAIL}, {"*": PUSH}),
        ),
    ],
)
def test_the_latest_word_counts_and_a_word_on_all_takes_back_the_earlier_ones(
    words: list[ConsentRecord], state: ConsentState
):
    assert fold(words, ()) == state
    assert fold(words[::-1], ()) == state, "in whatever order they are read"


def test_suppressed_channels_are_a_mask():
    assert fold([], ["sms", "email", "sms"]) == ConsentState(suppressed=EMAIL | SMS)
