"""The law of token buckets, for any caller: never more than the burst and what has come in since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clarion.tenancy.quotas import SLACK_S, LocalBuckets, Take

RATES = st.floats(0.01, 1e5)
BURSTS = st.floats(0.5, 1e5)
CALLS = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000)), max_size=50)


@given(RATES, BURSTS, CALLS)
def test_no_window_grants_more_than_burst_and_refill(
    rate: float, burst: float, calls: list[tuple[float, int]]
):
    buckets = LocalBuckets()
    now = 0.0
    granted: list[tuple[float, int]] = []
    for pause, cost in calls:
        now += pause
        [verdict] = buckets.take([Take(b"", "", cost, rate, burst)], now)
        if verdict.allowed:
            granted.append((now, cost))
    for first, (start, _) in enumerate(granted):
        spent = 0
        for end, cost in granted[first:]:
            spent += cost
            assert spent <= burst + rate * (end - start) + SLACK_S * rate + 1e-6 * spent


@given(RATES, BURSTS, CALLS)
def test_whoever_comes_back_as_told_is_served(rate: float, burst: float, calls: list[tuple[float, int]]):
    buckets = LocalBuckets()
    now = 0.0
    for pause, cost in calls:
        now += pause
        take = Take(b"", "", cost, rate, burst)
        [verdict] = buckets.take([take], now)
        assert 0 <= verdict.remaining <= burst + SLACK_S * rate
        assert (verdict.outcome == "too_large") == (cost > burst and not verdict.allowed)
        if verdict.outcome == "throttled":
            now += verdict.retry_after_s
            [verdict] = buckets.take([take], now)
            assert verdict.allowed
