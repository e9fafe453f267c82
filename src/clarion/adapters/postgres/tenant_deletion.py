"""What the region's database holds of tenants that are being deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import NotFound
from clarion.tenancy.deletion import Deletion, DyingUser

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

_ENDS: Final = ("end_keys", "end_issuers", "end_members", "end_providers", "end_config")


class PostgresTenantDeletion:
    """`tenancy.deletion.TenantRows`. Which tables there are, the catalogue is asked: none is left out."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("tenant_deletion")

    async def begin(self, tenant_id: bytes, name: str) -> Deletion:
        """End credentials and accounts; see `TenantRows.begin`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            if not await connection.fetchval(self._sql["find_tenant"], tenant_id, name):
                raise NotFound("there is no such tenant")
            await connection.execute(self._sql["note_deletion"], tenant_id, name)
            for end in _ENDS:
                await connection.execute(self._sql[end], tenant_id)
            record = await connection.fetchrow(self._sql["find_deletion"], tenant_id)
        if record is None:
            raise NotFound("there is no such tenant")
        return _deletion(record)

    async def under_way(self) -> list[Deletion]:
        """What is not finished; see `TenantRows.under_way`."""
        async with self._pools.pipeline() as connection:
            return [_deletion(record) for record in await connection.fetch(self._sql["under_way"])]

    async def removed(self, tenant_id: bytes) -> int:
        """How many rows of a tenant were removed so far."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["find_deletion"], tenant_id)
        return record["removed"] if record else 0

    async def users(self, tenant_id: bytes, most: int) -> list[DyingUser]:
        """Users who are left; see `TenantRows.users`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["users"], tenant_id, most)
        return [DyingUser(record["user_id"], record["external_id"]) for record in records]

    async def remove_users(self, users: Sequence[DyingUser]) -> None:
        """Remove profiles; see `TenantRows.remove_users`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["remove_users"], [user.user_id for user in users])

    async def remove_rows(self, tenant_id: bytes, most: int) -> int:
        """Remove a portion of each table, in a transaction each; see `TenantRows.remove_rows`."""
        removed = 0
        async with self._pools.pipeline() as connection:
            for record in await connection.fetch(self._sql["tables"]):
                removed += await connection.fetchval(
                    self._sql["remove_rows"], tenant_id, record["name"], most
                )
        return removed

    async def note(self, tenant_id: bytes, removed: int, *, finished: bool) -> None:
        """Keep how far it is; see `TenantRows.note`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["note_removed"], tenant_id, removed)
            if finished:
                await connection.execute(self._sql["remove_settings"], tenant_id)
                await connection.execute(self._sql["finish"], tenant_id)


def _deletion(record: asyncpg.Record) -> Deletion:
    return Deletion(record["tenant_id"], record["name"], record["asked_at"], record["removed"])
