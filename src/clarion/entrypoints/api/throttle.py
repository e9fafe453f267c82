"""How often: one token bucket a tenant and route class, shared by all processes, asked for many requests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from clarion.entrypoints.api.errors import HttpError
from clarion.entrypoints.api.replies import Header
from clarion.kernel.batch import Coalescer
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Throttled, Transient
from clarion.orchestration.ports import RateLimiter
from clarion.tenancy.model import Tenant
from clarion.tenancy.quotas import LocalBuckets, Take, Verdict

RouteClass: TypeAlias = Literal["accept", "write", "read"]
"""Each has its own bucket: reading a lot does not stop sending."""

LOCAL_FOR_S: Final = 1.0
"""How long this process decides alone after the shared buckets could not be reached: a hung Valkey is not waited for
by every request."""

MAX_TAKES: Final = 1000


class Throttle:
    """Takes tokens; gives the headers that tell what is left."""

    def __init__(self, shared: RateLimiter, local: LocalBuckets, clock: Clock) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._alone_until_s = 0.0
        self._takes: Coalescer[Take, Verdict] = Coalescer(self._run, limit=MAX_TAKES, concurrency=2)

    async def charge(self, tenant: Tenant, route_class: RouteClass, cost: int, answer: list[Header]) -> None:
        """Take `cost` tokens and put the `RateLimit-*` headers into `answer`.

        Raises Throttled where there are too few, HttpError (413) where there will never be as many.
        """
        take = Take(tenant.tenant_id, route_class, cost, tenant.rate_per_s, tenant.rate_burst)
        verdict = await self._takes.submit(take)
        answer[:] = _headers(take, verdict)
        if verdict.outcome == "throttled":
            raise Throttled("the tenant's requests come faster than its rate allows", verdict.retry_after_s)
        if verdict.outcome == "too_large":
            raise HttpError(
                413, f"it counts as {cost} requests, where {verdict.limit} are the most at once: split it"
            )

    async def _run(self, takes: list[Take]) -> Sequence[Verdict]:
        now_s = self._clock.monotonic()
        if now_s >= self._alone_until_s:
            try:
                return await self._shared.take(takes)
            except Transient:
                self._alone_until_s = now_s + LOCAL_FOR_S
        return self._local.take(takes, now_s)


def _headers(take: Take, verdict: Verdict) -> list[Header]:
    return [
        (b"ratelimit-limit", b"%d" % verdict.limit),
        (b"ratelimit-remaining", b"%d" % verdict.remaining),
        (b"ratelimit-reset", b"%d" % math.ceil(verdict.reset_s)),
        (b"ratelimit-policy", b"%d;w=%d" % (verdict.limit, math.ceil(take.burst / take.rate_per_s))),
    ]
