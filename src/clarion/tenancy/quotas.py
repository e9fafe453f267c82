"""How much a tenant may ask of us: token buckets, one per (tenant, route class), full at first; and so many a day.

A bucket holds `burst` tokens and gains `rate_per_s` of them each second; a call takes as many as it has items. What is
kept of a bucket is one number, the instant at which it will be full again: a bucket that nobody uses needs no memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.kernel.local_time import known_zone, local_day, next_midnight_ms
from clarion.tenancy.model import Tenant

RateOutcome: TypeAlias = Literal["allowed", "throttled", "too_large", "over_quota"]

SLACK_S: Final = 1e-6
"""Refill that a take may anticipate, lest rounding refuse the last token of a burst: 1 µs."""


class DayQuota(msgspec.Struct, frozen=True, gc=False):
    """The most that a tenant may have accepted on one day of its own zone. `day` is YYYYMMDD."""

    limit: int
    day: int
    ends_in_s: float


def day_quota(tenant: Tenant, now_ms: int) -> DayQuota | None:
    """The tenant's present day; None where its places are not counted."""
    if tenant.daily_quota is None:
        return None
    zone = known_zone(tenant.timezone)
    ends_in_s = (next_midnight_ms(zone, now_ms) - now_ms) / 1000
    return DayQuota(tenant.daily_quota, local_day(zone, now_ms), ends_in_s)


class Take(msgspec.Struct, frozen=True, gc=False):
    """A wish for `cost` tokens of the bucket of `tenant_id` and `route_class`, which has this rate and burst.

    With a `quota` as many places of the day are taken too, or none of both.

    Raises ValueError where rate or burst are not positive, or the cost is negative.
    """

    tenant_id: bytes
    route_class: str
    cost: int
    rate_per_s: float
    burst: float
    quota: DayQuota | None = None

    def __post_init__(self) -> None:
        if self.rate_per_s <= 0 or self.burst <= 0 or self.cost < 0:
            msg = f"no bucket: rate {self.rate_per_s}/s, burst {self.burst}, cost {self.cost}"
            raise ValueError(msg)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of a take, and what the `RateLimit-*` and `Retry-After` headers say.

    `throttled`: try again after `retry_after_s` (0 otherwise). `too_large`: more than the bucket ever holds, so that
    only a smaller call can succeed. `over_quota`: the tokens are there, the day's places are not. `remaining`: whole
    tokens left; `reset_s`: seconds until the bucket is full. `used`: the day's places that are taken by now.
    """

    outcome: RateOutcome
    limit: int
    remaining: int
    reset_s: float
    retry_after_s: float = 0.0
    used: int = 0

    @property
    def allowed(self) -> bool:
        """Whether the tokens were taken."""
        return self.outcome == "allowed"


def verdict_of(take: Take, *, allowed: bool, full_in_s: float) -> Verdict:
    """The verdict on a take that leaves a bucket which will be full in `full_in_s` seconds."""
    missing = full_in_s * take.rate_per_s
    limit = int(take.burst)
    # A token that lacks only the slack counts: it will be there before the caller reads this.
    remaining = max(0, math.floor(take.burst - missing + SLACK_S * take.rate_per_s))
    if allowed:
        return Verdict("allowed", limit, remaining, full_in_s)
    if take.cost > take.burst:
        return Verdict("too_large", limit, remaining, full_in_s)
    return Verdict(
        "throttled", limit, remaining, full_in_s, (missing + take.cost - take.burst) / take.rate_per_s
    )


def over_quota(take: Take, quota: DayQuota, used: int, full_in_s: float) -> Verdict:
    """The verdict on a take that the day has no places for."""
    told = verdict_of(take, allowed=True, full_in_s=full_in_s)
    return msgspec.structs.replace(told, outcome="over_quota", retry_after_s=quota.ends_in_s, used=used)


class GiveBack(msgspec.Struct, frozen=True, gc=False):
    """Places of a tenant's day that were taken for what was then not accepted."""

    tenant_id: bytes
    day: int
    places: int


class LocalBuckets:
    """The buckets of one process: the limit that holds while the shared one cannot be reached.

    Each process then grants a tenant's whole rate by itself: too generous rather than closed.
    """

    def __init__(self, max_idle: int = 10_000) -> None:
        """`max_idle`: how many buckets may be kept before those that are full again are forgotten."""
        self._full_at: dict[tuple[bytes, str], float] = {}
        self._used: dict[bytes, tuple[int, int]] = {}
        """By tenant: the day, and how many of its places are taken."""
        self._max_idle = max_idle

    def take(self, takes: Sequence[Take], now_s: float) -> list[Verdict]:
        """A verdict per take, in order; each counts those before it. `now_s`: seconds of a monotonic clock."""
        verdicts = [self._take_one(take, now_s) for take in takes]
        if len(self._full_at) > self._max_idle:
            self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now_s}
        return verdicts

    def _take_one(self, take: Take, now_s: float) -> Verdict:
        key = (take.tenant_id, take.route_class)
        capacity_s = take.burst / take.rate_per_s
        # The upper bound holds where the rate was changed since: nobody waits longer than for one full bucket.
        full_in_s = min(max(self._full_at.get(key, now_s) - now_s, 0.0), capacity_s)
        after_s = full_in_s + take.cost / take.rate_per_s
        if after_s > capacity_s + SLACK_S:
            return verdict_of(take, allowed=False, full_in_s=full_in_s)
        used = 0
        if take.quota is not None:
            used = self._used_on(take.tenant_id, take.quota.day)
            if used + take.cost > take.quota.limit and take.cost:
                return over_quota(take, take.quota, used, full_in_s)
            used += take.cost
            self._used[take.tenant_id] = (take.quota.day, used)
        self._full_at[key] = now_s + after_s
        return msgspec.structs.replace(verdict_of(take, allowed=True, full_in_s=after_s), used=used)

    def give_back(self, places: Sequence[GiveBack]) -> None:
        """Free places of the day again."""
        for one in places:
            used = self._used_on(one.tenant_id, one.day)
            self._used[one.tenant_id] = (one.day, max(0, used - one.places))

    def _used_on(self, tenant_id: bytes, day: int) -> int:
        known, used = self._used.get(tenant_id, (day, 0))
        return used if known == day else 0
