"""The local token buckets: what holds while the shared ones are away."""

from __future__ import annotations

import pytest

from clarion.tenancy.quotas import LocalBuckets, Take


def take(cost: int, *, tenant: bytes = b"t" * 16, rate: float = 2.0, burst: float = 10.0) -> Take:
    return Take(tenant, "send", cost, rate, burst)


def test_a_bucket_refills_at_its_rate():
    buckets = LocalBuckets()
    buckets.take([take(10)], 100.0)
    assert [verdict.remaining for verdict in buckets.take([take(0)], 103.0)] == [6]
    assert [verdict.remaining for verdict in buckets.take([take(0)], 1000.0)] == [10]


def test_a_refused_caller_succeeds_when_it_was_told_to_come_back():
    buckets = LocalBuckets()
    buckets.take([take(8)], 0.0)
    [refused] = buckets.take([take(5)], 0.5)
    assert refused.retry_after_s == pytest.approx(1.0)
    [allowed] = buckets.take([take(5)], 0.5 + refused.retry_after_s)
    assert allowed.allowed
    assert allowed.remaining == 0


def test_a_call_that_is_larger_than_the_bucket_is_told_so_however_long_it_waits():
    buckets = LocalBuckets()
    for now in (0.0, 1e9):
        [verdict] = buckets.take([take(11)], now)
        assert (verdict.outcome, verdict.retry_after_s) == ("too_large", 0.0)


def test_full_buckets_are_forgotten_and_others_are_not():
    buckets = LocalBuckets(max_idle=2)
    tenants = [bytes([number]) * 16 for number in range(3)]
    buckets.take([take(1, tenant=tenants[0]), take(10, tenant=tenants[1])], 0.0)
    buckets.take([take(10, tenant=tenants[2])], 1.0)
    assert [
        verdict.allowed for verdict in buckets.take([take(9, tenant=tenant) for tenant in tenants], 1.0)
    ] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("rate", "burst", "cost"), [(0.0, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.0, -1)])
def test_a_bucket_that_cannot_work_is_refused(rate: float, burst: float, cost: int):
    with pytest.raises(ValueError, match="no bucket"):
        take(cost, rate=rate, burst=burst)
