"""Idempotency keys of the calls that are no accepts: their answers are kept as accepts keep theirs, but sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.tenant_keys import place_of
from clarion.orchestration.model import (
    Committed,
    GroupOutcome,
    IdempotencyClaim,
    KeyBusy,
    KeyReused,
    Replayed,
)
from clarion.tenancy.model import Principal
from clarion.tenancy.secrets import Vault

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class Kept(msgspec.Struct, frozen=True):
    """An answer that repeats will get."""

    status: int
    body: bytes


class PostgresIdempotency:
    """Runs work under a key, once. `holders`: how many keys may be held at a time, each with a connection of its own.

    Less than the pool has, because work needs connections too: were all of them held, nobody could finish.
    """

    def __init__(self, pools: Pools, vault: Vault, *, holders: int) -> None:
        self._pools = pools
        self._vault = vault
        self._sql = load_queries("accept")
        self._places = asyncio.Semaphore(holders)

    async def run(
        self, principal: Principal, claim: IdempotencyClaim, work: Callable[[], Awaitable[Kept]]
    ) -> GroupOutcome:
        """Run `work` and keep its answer, unless the key is held (KeyBusy) or was used in the last 24 hours.

        Where `work` raises, nothing is kept and the key is free again. The lock is the transaction's: it ends with
        this process, however that ends. Raises Transient where the store is away; `work` may then have run.
        """
        tenant_id, environment = principal.tenant_id, principal.environment
        scope = ([tenant_id], [environment], [claim.route], [claim.key])
        row = f"{environment}:{claim.route}:{claim.key}"
        # An answer may hold a user's data (a preview) or a secret that is shown once (a new key).
        place = place_of("idempotency_keys", tenant_id, row)
        name = f"{tenant_id.hex()}:{row}"
        async with self._places, self._pools.pipeline() as connection, connection.transaction():
            if not await connection.fetchval(self._sql["lock_keys"], [name]):
                return KeyBusy()
            used = await connection.fetchrow(self._sql["find_keys"], *scope)
            if used is not None:
                if used["fingerprint"] != claim.fingerprint:
                    return KeyReused()
                return Replayed(used["status"], await self._vault.unseal(place, used["body"]))
            kept = await work()
            await connection.execute(
                self._sql["store_keys"],
                *scope,
                [claim.fingerprint],
                [kept.status],
                [await self._vault.seal(place, kept.body)],
            )
        return Committed()
