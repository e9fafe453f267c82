"""`PaceStore`: an account's tokens, taken by however many workers ask at once, and its rate as it is found out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.paces import ValkeyPaces
from clarion.delivery.circuit import CircuitKey
from clarion.delivery.pace import BOOK_AHEAD_MS, BURST_MS, PATIENCE_MS, Ask, DayLimit, Grant, Slowing
from clarion.delivery.pacing import LocalPaces, PaceStore
from clarion.testing.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

THERE = BURST_MS + PATIENCE_MS


class _Local:
    """The paces of one process, by this machine's clock."""

    def __init__(self) -> None:
        self._paces = LocalPaces()

    async def take(self, ask: Ask, now_ms: int) -> Grant:
        """As `PaceStore.take`."""
        del now_ms
        return self._paces.take_at(ask, _now_ms())

    async def slow(self, slowing: Slowing) -> None:
        """As `PaceStore.slow`."""
        self._paces.slow_at(slowing, _now_ms())


def _now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def paces(clients: ValkeyClients | None) -> PaceStore:
    return _Local() if clients is None else ValkeyPaces(clients)


@pytest.fixture
def key() -> CircuitKey:
    return (secrets.token_bytes(16), "acme")


Taking = Callable[..., Awaitable[Grant]]


@pytest.fixture
def taking(paces: PaceStore, key: CircuitKey) -> Taking:
    async def take(
        count: int, *, urgent: int = 0, behind: int = 0, per_s: float = 0.0, days: tuple[DayLimit, ...] = ()
    ) -> Grant:
        return await paces.take(Ask(key, count, urgent, behind, per_s, days), _now_ms())

    return take


def day(limit: int, name: str = "account:acme", ends_in_s: int = 600) -> DayLimit:
    return DayLimit(name, 20261122, limit, _now_ms() + ends_in_s * 1000)


async def test_without_any_limit_all_may_go(taking: Taking):
    assert await taking(1000) == Grant(1000)


async def test_a_rate_gives_what_is_there_within_a_moment_and_tells_the_rest_when(taking: Taking):
    grant = await taking(100, behind=10, per_s=20)
    assert grant.taken == 20 * THERE // 1000
    assert grant.wait_ms == pytest.approx(PATIENCE_MS, abs=1)
    assert grant.next_ms == pytest.approx(PATIENCE_MS + 50, abs=2)
    assert grant.step_ms == pytest.approx(50)


async def test_those_who_wait_are_told_times_of_their_own(taking: Taking):
    first = await taking(100, per_s=20)
    second = await taking(100, per_s=20)
    assert second.taken == 0
    waiting = 100 - first.taken
    assert second.next_ms == pytest.approx(first.next_ms + waiting * first.step_ms, abs=250)


async def test_the_urgent_run_ahead_of_the_rest(taking: Taking):
    await taking(100, per_s=20)
    grant = await taking(30, urgent=5, per_s=20)
    assert (grant.taken, grant.wait_ms) == (5, pytest.approx(0, abs=PATIENCE_MS))
    assert (await taking(1, per_s=20)).taken == 0


async def test_what_many_take_at_once_is_the_rate_of_one(taking: Taking):
    grants = await asyncio.gather(*(taking(10, per_s=100) for _ in range(20)))
    assert THERE // 10 <= sum(grant.taken for grant in grants) <= THERE // 10 + 10


async def test_tokens_come_back_at_the_rate(taking: Taking):
    await taking(1000, per_s=200)
    since = time.monotonic()
    taken: list[int] = []

    async def so_far() -> int:
        taken.append((await taking(20 - sum(taken), per_s=200)).taken)
        return sum(taken)

    await eventually(so_far, lambda count: count == 20, within_s=2, every_s=0.005)
    assert time.monotonic() - since >= 0.05


async def test_a_day_gives_no_more_than_its_limit(taking: Taking):
    assert (await taking(7, days=(day(10),))).taken == 7
    grant = await taking(7, days=(day(10),))
    assert grant.taken == 3
    assert grant.next_ms == pytest.approx(600_000, abs=50)


async def test_of_several_limits_the_fullest_holds_and_all_count(taking: Taking):
    both = (day(100), day(5, "domain:example.com"))
    assert (await taking(50, days=both)).taken == 5
    assert (await taking(200, days=(day(100),))).taken == 95


async def test_nobody_waits_longer_than_it_is_worth_to_look_again(taking: Taking):
    grant = await taking(10, per_s=0.001, days=(day(0, ends_in_s=80_000),))
    assert grant.next_ms <= BOOK_AHEAD_MS


async def test_a_vendor_that_throttles_is_asked_less(paces: PaceStore, key: CircuitKey, taking: Taking):
    await paces.slow(Slowing(key, sent=80, throttled=20, seen_per_s=100))
    grant = await taking(1000)
    assert grant.taken == pytest.approx(85 * THERE / 1000, abs=1)
    # What was under way says nothing new.
    await paces.slow(Slowing(key, sent=0, throttled=20, seen_per_s=10))
    # More than can have come back meanwhile: somebody has to wait.
    assert (await taking(1000)).step_ms == pytest.approx(1000 / 85, rel=0.1)


async def test_a_vendor_that_says_when_is_left_alone_until_then(
    paces: PaceStore, key: CircuitKey, taking: Taking
):
    await paces.slow(Slowing(key, sent=0, throttled=1, seen_per_s=100, closed_ms=60_000))
    grant = await taking(5, urgent=5)
    assert grant.taken == 0
    assert grant.next_ms == pytest.approx(60_000, abs=100)


async def test_the_rate_that_a_vendor_names_holds(paces: PaceStore, key: CircuitKey, taking: Taking):
    await paces.slow(Slowing(key, sent=5, throttled=0, seen_per_s=100, told_per_s=30))
    assert (await taking(1000)).taken == int(30 * THERE / 1000)
    assert (await taking(1000, per_s=10)).step_ms == pytest.approx(100)


async def test_accounts_do_not_share_their_tokens(paces: PaceStore, key: CircuitKey, taking: Taking):
    await taking(1000, per_s=20)
    other = await paces.take(Ask((key[0], "other"), 5, per_s=20), _now_ms())
    assert other.taken == 5
