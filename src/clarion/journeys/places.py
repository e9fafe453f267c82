"""Messages of runs count towards their tenant's day as single requests do."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

from clarion.kernel.errors import Transient
from clarion.orchestration.ports import RateLimiter
from clarion.tenancy.model import Tenant
from clarion.tenancy.quotas import GiveBack, Take, day_quota

FREE: Final = 1e9
"""Rate and burst of the bucket beside the day's places: journeys have a pace of their own."""


class DayPlaces:
    """Places of tenants' days, for one batch of messages."""

    def __init__(self, limiter: RateLimiter, now_ms: int) -> None:
        self._limiter = limiter
        self._now_ms = now_ms
        self._unused: Counter[tuple[bytes, int]] = Counter()

    async def take(self, tenants: Sequence[Tenant]) -> list[int]:
        """A place for a message of each of these tenants, in order: 0, or in how many ms the day is over.

        While the counters are away journeys go on, as broadcasts do.
        """
        waits = [0] * len(tenants)
        asked = [
            (i, Take(tenant.tenant_id, "journey", 1, FREE, FREE, quota))
            for i, tenant in enumerate(tenants)
            if (quota := day_quota(tenant, self._now_ms)) is not None
        ]
        if not asked:
            return waits
        try:
            verdicts = await self._limiter.take([take for _, take in asked])
        except Transient:
            return waits
        for (i, take), verdict in zip(asked, verdicts, strict=True):
            if not verdict.allowed:
                waits[i] = max(1, int(verdict.retry_after_s * 1000))
            elif take.quota is not None:
                self._unused[take.tenant_id, take.quota.day] += 1
        return waits

    def use(self, tenant: Tenant) -> None:
        """A message of this tenant was accepted, for the first time: its place is taken."""
        quota = day_quota(tenant, self._now_ms)
        if quota is not None:
            self._unused[tenant.tenant_id, quota.day] -= 1

    async def give_back(self) -> None:
        """Free the places of messages that were not accepted, or not for the first time."""
        left = [GiveBack(*whose, places) for whose, places in self._unused.items() if places > 0]
        if left:
            with contextlib.suppress(Transient):
                await self._limiter.give_back(left)
