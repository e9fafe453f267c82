"""A broadcast's members count towards their tenant's day as single requests do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from clarion.kernel.errors import Transient
from clarion.tenancy.quotas import GiveBack, Take, day_quota

if TYPE_CHECKING:
    from clarion.bootstrap import Worker
    from clarion.orchestration.broadcasts import Chunk

FREE: Final = 1e9
"""Rate and burst of the bucket beside the day's places: a broadcast has a pace of its own."""


async def take_places(worker: Worker, chunk: Chunk) -> list[GiveBack] | None:
    """What to give back if nothing of the chunk is accepted; None where the day has no places for it.

    While the counters are away a broadcast goes on.
    """
    tenant = (await worker.broadcasts.accept.configs.get(chunk.tenant_id)).tenant
    quota = day_quota(tenant, worker.clock.now_ms())
    if quota is None:
        return []
    take = Take(chunk.tenant_id, "broadcast", len(chunk.names), FREE, FREE, quota)
    try:
        (verdict,) = await worker.limiter.take([take])
    except Transient:
        return []
    return [GiveBack(chunk.tenant_id, quota.day, take.cost)] if verdict.allowed else None


async def give_back(worker: Worker, taken: list[GiveBack], accepted: int) -> None:
    """Free the places of members that were not accepted."""
    left = [GiveBack(one.tenant_id, one.day, one.places - accepted) for one in taken if one.places > accepted]
    if left:
        with contextlib.suppress(Transient):
            await worker.limiter.give_back(left)
