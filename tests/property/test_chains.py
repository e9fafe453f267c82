"""Whatever became of a notification: its chain takes no channel twice, nothing after the expiry, and always ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from clarion.contracts.channels import CHANNELS
from clarion.contracts.commands import FallbackStep
from clarion.contracts.statuses import Status
from clarion.orchestration.chains import Leg, Look, Over, Take, judge

NOW = 1_800_000_000_000
HOUR = 3_600_000

times = st.integers(NOW - HOUR, NOW + HOUR)
expiries = st.just(0) | times
steps = st.lists(
    st.builds(
        FallbackStep,
        st.sampled_from(CHANNELS),
        st.integers(0, 3600),
        st.sampled_from(["sent", "delivered", "engaged"]),
    ),
    min_size=1,
    unique_by=lambda step: step.channel,
)
legs = st.lists(
    st.builds(
        Leg,
        st.just(b"d" * 16),
        st.sampled_from([*CHANNELS, "none"]),
        st.sampled_from(get_args(Status)),
        times,
        st.just(0) | times,
        st.just(0) | times,
        st.booleans(),
    ),
    min_size=1,
    unique_by=lambda leg: leg.channel,
)


@given(steps, legs, expiries, times)
def test_a_step_goes_to_a_channel_of_its_own_while_it_is_worth_something(
    chain: Sequence[FallbackStep], known: Sequence[Leg], expires_ms: int, now_ms: int
):
    verdict = judge(chain, 0, known, expires_ms, now_ms)
    if isinstance(verdict, Take):
        assert chain[verdict.step].channel not in {leg.channel for leg in known}
        assert not expires_ms or now_ms < expires_ms


@given(steps, legs, expiries, times)
def test_who_looks_when_told_does_not_look_in_vain(
    chain: Sequence[FallbackStep], known: Sequence[Leg], expires_ms: int, now_ms: int
):
    verdict = judge(chain, 0, known, expires_ms, now_ms)
    if isinstance(verdict, Look):
        assert verdict.due_ms > now_ms
        assert not isinstance(judge(chain, 0, known, expires_ms, verdict.due_ms), Look)


@given(steps, legs, expiries, times)
def test_it_ends_after_at_most_its_steps_whatever_becomes_of_them(
    chain: Sequence[FallbackStep], known: Sequence[Leg], expires_ms: int, now_ms: int
):
    have = list(known)
    step = looks = 0
    verdict = judge(chain, step, have, expires_ms, now_ms)
    while not isinstance(verdict, Over):
        if isinstance(verdict, Take):
            step = verdict.step + 1
            have.append(Leg(b"d" * 16, chain[verdict.step].channel, "queued", now_ms))
        else:
            now_ms = verdict.due_ms
            looks += 1
        assert looks <= len(chain)
        verdict = judge(chain, step, have, expires_ms, now_ms)
    assert len({leg.channel for leg in have}) == len(have)
