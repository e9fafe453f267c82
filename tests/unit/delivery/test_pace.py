"""The pace of an account whose vendor says nothing of its limit but "too many"."""

from __future__ import annotations

from datetime import date

import pytest

from clarion.delivery.model import Outcome, OutcomeKind, RateLimits
from clarion.delivery.pace import Ask, DayLeft, Grant, Pace, Slowing, grow, slow, take
from clarion.delivery.pacing import Pacing, day_limits, ramp_allowance, sender_domain
from clarion.kernel.errors import Transient
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.spending import NO_QUOTA, Quota, Ramp

KEY = (bytes(16), "acme")
NOON = 1_795_000_000_000
LOTS = DayLeft(1 << 40, 0.0)


def account(quota: Quota = NO_QUOTA) -> ProviderConfig:
    sender = {"from": "A <a@Shop.example>"}
    return ProviderConfig("acme", bytes(16), "sandbox", "email", sender, {}, quota=quota)


def outcome(kind: OutcomeKind, code: str = "", retry_after_s: float = 0.0) -> Outcome:
    return Outcome(bytes(16), kind, code=code, retry_after_s=retry_after_s)


def day_with(limit_per_s: float, seconds: int) -> tuple[int, int]:
    """Messages sent and throttled in the last minute of so many seconds, by a vendor that takes `limit_per_s`."""
    pace = slow(Pace(), Slowing(KEY, sent=50, throttled=50, seen_per_s=3 * limit_per_s), NOON)
    tokens, sent, refused = limit_per_s, 0, 0
    for at_ms in range(0, seconds * 1000, 50):
        now_ms = NOON + at_ms
        tokens = min(limit_per_s, tokens + limit_per_s * 0.05)
        pace, grant = take(pace, Ask(KEY, 1000), LOTS, now_ms)
        through = min(grant.taken, int(tokens))
        tokens -= through
        if at_ms >= (seconds - 60) * 1000:
            sent, refused = sent + grant.taken, refused + grant.taken - through
        if grant.taken > through:
            slowing = Slowing(KEY, through, grant.taken - through, through * 20)
            pace = slow(pace, slowing, now_ms)
    return sent, refused


@pytest.mark.parametrize("limit_per_s", [5.0, 40.0, 300.0, 5000.0])
def test_a_limit_is_found_and_kept_to(limit_per_s: float):
    sent, refused = day_with(limit_per_s, 180)
    assert refused <= 0.01 * sent
    assert sent >= 0.8 * 60 * limit_per_s


def test_a_pace_that_was_slowed_recovers_quickly_and_then_creeps():
    pace = Pace(rate=100.0, ceiling=200.0, grown_ms=NOON, slowed_ms=NOON)
    for second in range(1, 10):
        pace = grow(pace, NOON + 1000 * second)
    assert pace.rate == pytest.approx(190, rel=0.02)
    assert grow(pace, NOON + 10_000).rate - pace.rate < 1


def test_an_account_that_nobody_limits_is_not_paced():
    assert not Pacing().is_paced(account(), NOON)


async def test_it_is_paced_once_it_was_throttled_and_not_for_what_an_addressee_was():
    pacing = Pacing()
    await pacing.observe(account(), [outcome("throttled", "rcpt_device")], None, NOON)
    assert not pacing.is_paced(account(), NOON)
    await pacing.observe(account(), [outcome("sent"), outcome("throttled", "429")], None, NOON)
    assert pacing.is_paced(account(), NOON)
    assert not pacing.is_paced(account(), NOON + 2 * 3_600_000)


async def test_what_headers_say_is_learned_before_anything_is_throttled():
    pacing = Pacing()
    said = RateLimits(remaining=0, reset_s=30.0)
    await pacing.observe(account(), [outcome("sent")], said, NOON)
    grant = await pacing.admit(account(), [5], 0, NOON)
    assert grant is not None
    assert (grant.taken, grant.next_ms) == (0, 30_000)
    assert pacing.full_until(KEY) == NOON + 30_000


async def test_a_rate_that_is_said_again_is_no_news():
    pacing = Pacing()
    for _ in range(3):
        await pacing.observe(account(), [outcome("sent")], RateLimits(per_s=10.0), NOON)
    grant = await pacing.admit(account(), [5] * 100, 0, NOON)
    assert grant is not None
    assert grant.step_ms == 100


async def test_a_quota_of_the_account_is_kept_to():
    pacing, mine = Pacing(), account(quota=Quota(per_s=10.0, per_day=3))
    grant = await pacing.admit(mine, [5, 5, 5, 5], 6, NOON)
    assert grant is not None
    assert grant.taken == 3
    assert grant.next_ms > 60_000


class Away:
    """A `PaceStore` that cannot be reached."""

    async def take(self, ask: Ask, now_ms: int) -> Grant:
        """No."""
        del ask, now_ms
        raise Transient("away")

    async def slow(self, slowing: Slowing) -> None:
        """No."""
        del slowing
        raise Transient("away")


async def test_while_the_shared_paces_are_away_each_process_keeps_its_own():
    pacing, mine = Pacing(Away()), account(Quota(per_s=20.0))
    grant = await pacing.admit(mine, [5] * 100, 0, NOON)
    assert grant is not None
    assert grant.taken == 7
    await pacing.observe(mine, [outcome("throttled", "429", retry_after_s=60)], None, NOON)
    grant = await pacing.admit(mine, [5], 0, NOON)
    assert grant is not None
    assert (grant.taken, grant.next_ms) == (0, 60_000)


@pytest.mark.parametrize(("day", "allowed"), [(1, 50), (2, 100), (5, 800), (12, None)])
def test_a_domain_is_warmed_up_day_by_day(day: int, allowed: int | None):
    ramp = Ramp("2026-11-01", start=50, factor=2.0, until=100_000)
    assert ramp_allowance(ramp, date(2026, 11, day)) == allowed


def test_accounts_of_one_domain_share_its_ramp():
    limits = day_limits(account(quota=Quota(ramp=Ramp("2026-11-01"))), NOON)
    assert [limit.name for limit in limits] == []
    soon = day_limits(account(quota=Quota(ramp=Ramp("2026-11-17"), per_day=9)), NOON)
    assert [limit.name for limit in soon] == ["account:acme", "domain:shop.example"]


@pytest.mark.parametrize(
    ("settings", "domain"),
    [({"from": "a@b.example"}, "b.example"), ({"from": {"email": "x@y.example"}}, "y.example"), ({}, "")],
)
def test_the_domain_is_that_of_the_sender(settings: dict[str, object], domain: str):
    assert sender_domain(settings) == domain
