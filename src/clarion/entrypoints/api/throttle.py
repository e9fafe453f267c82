"""How often: one token bucket a tenant and route class, shared by all processes, asked for many requests at once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from clarion.entrypoints.api.replies import Header
from clarion.kernel.batch import Coalescer
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Permanent, Throttled, Transient
from clarion.orchestration.ports import RateLimiter
from clarion.tenancy.model import Tenant
from clarion.tenancy.quotas import GiveBack, LocalBuckets, Take, Verdict, day_quota

RouteClass: TypeAlias = Literal["accept", "write", "read", "receipts"]
"""Each has its own bucket: reading a lot does not stop sending."""

LOCAL_FOR_S: Final = 1.0
"""How long this process decides alone after the shared buckets could not be reached: a hung Valkey is not waited for
by every request."""

MAX_TAKES: Final = 1000


class TooMuch(Permanent):
    """One call that counts as more requests than the bucket ever holds (`413` at the HTTP edge)."""


class QuotaSpent(Throttled):
    """The tenant's day has no places left; `retry_after` is its midnight."""


class Throttle:
    """Asks the shared buckets, or this process's own while those are away."""

    def __init__(self, shared: RateLimiter, local: LocalBuckets, clock: Clock) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._alone_until_s = 0.0
        self._coalesced: Coalescer[Take, Verdict] = Coalescer(self.charge_all, limit=MAX_TAKES, concurrency=1)

    async def charge(self, take: Take) -> Verdict:
        """The verdict on one take, which rides along with those of other requests."""
        return await self._coalesced.submit(take)

    async def charge_all(self, takes: Sequence[Take]) -> Sequence[Verdict]:
        """A verdict per take, in order, by one call."""
        now_s = self._clock.monotonic()
        if now_s >= self._alone_until_s:
            try:
                return await self._shared.take(takes)
            except Transient:
                self._alone_until_s = now_s + LOCAL_FOR_S
        return self._local.take(takes, now_s)

    async def give_back(self, places: Sequence[GiveBack]) -> None:
        """Free places of days that were taken in vain. While the shared counters are away they stay taken."""
        if self._clock.monotonic() < self._alone_until_s:
            self._local.give_back(places)
            return
        with contextlib.suppress(Transient):
            await self._shared.give_back(places)


def make_take(tenant: Tenant, route_class: RouteClass, cost: int, now_ms: int) -> Take:
    """The wish for `cost` tokens of a tenant's bucket, and for as many places of its day where these are counted."""
    quota = day_quota(tenant, now_ms) if route_class == "accept" else None
    return Take(tenant.tenant_id, route_class, cost, tenant.rate_per_s, tenant.rate_burst, quota)


def refusal_of(take: Take, verdict: Verdict) -> Throttled | TooMuch | None:
    """What a verdict forbids; None where the tokens were taken."""
    if verdict.outcome == "throttled":
        return Throttled("the tenant's requests come faster than its rate allows", verdict.retry_after_s)
    if verdict.outcome == "over_quota":
        left = 0 if take.quota is None else max(0, take.quota.limit - verdict.used)
        detail = f"the day's quota has {left} notifications left, and this call needs {take.cost}"
        return QuotaSpent(detail, verdict.retry_after_s)
    if verdict.outcome == "too_large":
        return TooMuch(
            f"it counts as {take.cost} requests, where {verdict.limit} are the most at once: split it"
        )
    return None


def rate_headers(take: Take, verdict: Verdict) -> list[Header]:
    """What the `RateLimit-*` headers tell the caller of her bucket."""
    return [
        (b"ratelimit-limit", b"%d" % verdict.limit),
        (b"ratelimit-remaining", b"%d" % verdict.remaining),
        (b"ratelimit-reset", b"%d" % math.ceil(verdict.reset_s)),
        (b"ratelimit-policy", b"%d;w=%d" % (verdict.limit, math.ceil(take.burst / take.rate_per_s))),
    ]
