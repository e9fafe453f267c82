"""`RateLimiter`: token buckets. Rates are so low that nothing refills during a test, except where it waits for it."""

from __future__ import annotations

import asyncio
import os

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.rate_limit import ValkeyRateLimiter
from clarion.kernel.clock import StoreClock
from clarion.orchestration.ports import RateLimiter
from clarion.tenancy.quotas import DayQuota, GiveBack, Take
from clarion.testing.valkey import InMemoryRateLimiter

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR_S = 3600


@pytest.fixture
def limiter(clients: ValkeyClients | None) -> RateLimiter:
    return InMemoryRateLimiter(StoreClock()) if clients is None else ValkeyRateLimiter(clients, timeout_s=5)


@pytest.fixture
def tenant() -> bytes:
    return os.urandom(16)


def take(
    tenant: bytes, cost: int, *, burst: float = 10, rate: float = 1 / HOUR_S, route: str = "send"
) -> Take:
    return Take(tenant, route, cost, rate, burst)


async def test_a_new_bucket_is_full_and_a_call_costs_its_size(limiter: RateLimiter, tenant: bytes):
    [verdict] = await limiter.take([take(tenant, 4)])
    assert (verdict.outcome, verdict.limit, verdict.remaining) == ("allowed", 10, 6)
    assert verdict.reset_s == pytest.approx(4 * HOUR_S, rel=0.01)
    assert verdict.retry_after_s == 0
    [verdict] = await limiter.take([take(tenant, 6)])
    assert (verdict.allowed, verdict.remaining) == (True, 0)


async def test_an_empty_bucket_says_when_to_come_back(limiter: RateLimiter, tenant: bytes):
    await limiter.take([take(tenant, 9)])
    [verdict] = await limiter.take([take(tenant, 3)])
    assert (verdict.outcome, verdict.allowed, verdict.remaining) == ("throttled", False, 1)
    assert verdict.retry_after_s == pytest.approx(2 * HOUR_S, rel=0.01)
    assert verdict.reset_s == pytest.approx(9 * HOUR_S, rel=0.01)


async def test_a_refused_take_takes_nothing(limiter: RateLimiter, tenant: bytes):
    answers = await limiter.take([take(tenant, cost) for cost in (8, 3, 2, 1)])
    assert [answer.allowed for answer in answers] == [True, False, True, False]
    assert [answer.remaining for answer in answers] == [2, 2, 0, 0]


async def test_more_than_the_bucket_holds_can_never_succeed(limiter: RateLimiter, tenant: bytes):
    [verdict] = await limiter.take([take(tenant, 11)])
    assert (verdict.outcome, verdict.allowed, verdict.remaining) == ("too_large", False, 10)
    assert verdict.retry_after_s == 0


async def test_takes_of_one_call_are_served_like_calls_in_a_row(limiter: RateLimiter, tenant: bytes):
    other = os.urandom(16)
    takes = [
        take(tenant, 6),
        take(other, 6),
        take(tenant, 6, route="read"),
        take(tenant, 6),
        take(other, 4),
        take(tenant, 4),
    ]
    answers = await limiter.take(takes)
    assert [answer.allowed for answer in answers] == [True, True, True, False, True, True]
    assert [answer.remaining for answer in answers] == [4, 4, 4, 4, 0, 0]


async def test_five_hundred_single_requests_in_one_call(limiter: RateLimiter, tenant: bytes):
    answers = await limiter.take([take(tenant, 1, burst=400, rate=0.001)] * 500)
    assert sum(answer.allowed for answer in answers) == 400
    assert [answer.remaining for answer in answers[:400]] == list(range(399, -1, -1))


async def test_a_take_of_nothing_only_looks(limiter: RateLimiter, tenant: bytes):
    answers = await limiter.take([take(tenant, 10), take(tenant, 0)])
    assert [(answer.allowed, answer.remaining) for answer in answers] == [(True, 0), (True, 0)]
    assert await limiter.take([]) == []


@pytest.mark.parametrize(("rate", "burst"), [(20_000.0, 40_000.0), (3.0, 7.0), (1e6, 1e6), (0.1, 0.5)])
async def test_a_whole_burst_is_there_at_once(limiter: RateLimiter, tenant: bytes, rate: float, burst: float):
    whole = int(burst)
    answers = await limiter.take([take(tenant, 1, burst=burst, rate=rate)] * min(whole, 7))
    assert all(answer.allowed for answer in answers)
    [verdict] = await limiter.take([take(tenant, max(whole - 7, 0), burst=burst, rate=rate)])
    assert verdict.allowed


async def test_tokens_come_back_with_time(limiter: RateLimiter, tenant: bytes):
    whole = take(tenant, 5, burst=5, rate=100)
    assert [verdict.allowed for verdict in await limiter.take([whole, whole])] == [True, False]
    async with asyncio.timeout(30):
        allowed = False
        while not allowed:
            await asyncio.sleep(0)
            [verdict] = await limiter.take([whole])
            allowed = verdict.allowed


async def test_after_a_change_of_rate_nobody_waits_longer_than_one_bucket(
    limiter: RateLimiter, tenant: bytes
):
    await limiter.take([take(tenant, 10, rate=0.001)])
    [verdict] = await limiter.take([take(tenant, 1, rate=10)])
    assert verdict.outcome == "throttled"
    assert verdict.retry_after_s <= 0.1


async def test_callers_at_once_share_one_bucket(limiter: RateLimiter, tenant: bytes):
    answers = await asyncio.gather(*(limiter.take([take(tenant, 1)] * 5) for _ in range(10)))
    assert sum(verdict.allowed for answer in answers for verdict in answer) == 10


def daily(tenant: bytes, cost: int, *, limit: int = 10, day: int = 20261122, burst: float = 1000) -> Take:
    return Take(tenant, "accept", cost, 1 / HOUR_S, burst, DayQuota(limit, day, 60.0))


async def test_a_day_has_so_many_places_and_says_when_there_are_new_ones(limiter: RateLimiter, tenant: bytes):
    answers = await limiter.take([daily(tenant, cost) for cost in (6, 5, 4, 1)])
    assert [answer.outcome for answer in answers] == ["allowed", "over_quota", "allowed", "over_quota"]
    assert [answer.used for answer in answers] == [6, 6, 10, 10]
    assert (answers[1].retry_after_s, answers[1].allowed) == (60.0, False)
    [later] = await limiter.take([daily(tenant, 1)])
    assert (later.outcome, later.used) == ("over_quota", 10)


async def test_what_the_day_refuses_costs_no_tokens_and_what_the_bucket_refuses_no_places(
    limiter: RateLimiter, tenant: bytes
):
    takes = [daily(tenant, cost, limit=3, burst=5) for cost in (4, 2, 2, 6)]
    answers = await limiter.take(takes)
    assert [answer.outcome for answer in answers] == ["over_quota", "allowed", "over_quota", "too_large"]
    [looked] = await limiter.take([daily(tenant, 0, burst=5)])
    assert (looked.used, looked.remaining) == (2, 3)


async def test_each_day_and_each_tenant_has_its_own_places(limiter: RateLimiter, tenant: bytes):
    other = os.urandom(16)
    takes = [daily(tenant, 10), daily(other, 10), daily(tenant, 10, day=20261123), take(tenant, 3)]
    assert [answer.allowed for answer in await limiter.take(takes)] == [True] * 4


async def test_a_limit_that_was_changed_holds_at_once(limiter: RateLimiter, tenant: bytes):
    await limiter.take([daily(tenant, 10)])
    [raised] = await limiter.take([daily(tenant, 5, limit=20)])
    [lowered] = await limiter.take([daily(tenant, 1, limit=0)])
    assert (raised.used, lowered.outcome, lowered.used) == (15, "over_quota", 15)


async def test_places_are_given_back_and_never_more_than_were_taken(limiter: RateLimiter, tenant: bytes):
    await limiter.take([daily(tenant, 10)])
    await limiter.give_back([GiveBack(tenant, 20261122, 4), GiveBack(os.urandom(16), 20261122, 5)])
    [looked] = await limiter.take([daily(tenant, 0)])
    assert looked.used == 6
    await limiter.give_back([GiveBack(tenant, 20261122, 100)])
    [looked] = await limiter.take([daily(tenant, 0)])
    assert looked.used == 0


async def test_callers_at_once_share_one_day(limiter: RateLimiter, tenant: bytes):
    answers = await asyncio.gather(*(limiter.take([daily(tenant, 1)] * 5) for _ in range(10)))
    assert sum(verdict.allowed for answer in answers for verdict in answer) == 10
