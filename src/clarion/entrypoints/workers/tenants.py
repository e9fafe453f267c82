"""The tenants role: removes what tenants leave that were deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.subject_keys import PostgresSubjectKeys
from clarion.adapters.postgres.tenant_deletion import PostgresTenantDeletion
from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.ids import format_id
from clarion.keys import global_urls_of
from clarion.tenancy.deletion import DyingUser, sweep

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools
    from clarion.adapters.valkey.cards import ValkeyCards
    from clarion.adapters.valkey.context import ValkeyContexts
    from clarion.adapters.valkey.features import ValkeyFeatures
    from clarion.bootstrap import Region, Worker
    from clarion.tenancy.secrets import Vault

IDLE_S: Final = 2.0
BUSY_S: Final = 0.05
"""Between two portions of a large tenant: the database is there for the others, too."""

_log = structlog.get_logger("tenants")


class Remains:
    """`tenancy.deletion.TenantRemains`: users' and the tenant's keys, what Valkey has cached of them, and the name."""

    def __init__(
        self,
        pools: Pools,
        directory: GlobalTenants,
        vault: Vault,
        caches: tuple[ValkeyCards, ValkeyContexts, ValkeyFeatures],
    ) -> None:
        self._keys = PostgresSubjectKeys(pools)
        self._directory = directory
        self._vault = vault
        self._cards, self._contexts, self._features = caches

    async def forget_users(self, tenant_id: bytes, users: Sequence[DyingUser]) -> None:
        """Destroy keys and caches; see `TenantRemains.forget_users`."""
        ids = [user.user_id for user in users]
        await self._keys.destroy(ids)
        await self._cards.drop(tenant_id, [user.external_id for user in users])
        await self._contexts.drop(ids)
        await self._features.drop(ids)

    async def release(self, tenant_id: bytes) -> None:
        """Destroy what opens the tenant's secrets, and free its name; see `TenantRemains.release`."""
        await self._vault.destroy(tenant_id)
        await self._directory.release(tenant_id)


async def run_tenants(worker: Worker, stop: asyncio.Event) -> None:
    """Remove until `stop` is set. Several workers may: what one has removed the others do not find."""
    pool = await open_global_pool(*global_urls_of(worker.settings), size=1, name="clarion-tenants")
    try:
        remains = remains_of(worker.region, GlobalTenants(pool))
        await run_lane("tenants", partial(step, worker.region, remains), stop)
    finally:
        await close_global_pool(pool)


def remains_of(region: Region, directory: GlobalTenants) -> Remains:
    """What a region holds of tenants outside its database."""
    return Remains(
        region.pools, directory, region.vault, (region.card_cache, region.contexts, region.features)
    )


async def step(region: Region, remains: Remains) -> float:
    """One portion of every tenant that goes; the seconds to the next step."""
    rows = PostgresTenantDeletion(region.pools)
    deletions = await rows.under_way()
    for deletion in deletions:
        if await sweep(deletion, rows, remains, await region.pools.now_ms()):
            region.configs.forget(deletion.tenant_id)
            _log.info("tenant_deleted", tenant=format_id(deletion.tenant_id), removed=deletion.removed)
    return BUSY_S if deletions else IDLE_S
