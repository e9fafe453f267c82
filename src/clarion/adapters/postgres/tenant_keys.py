"""Tenants' and the region's wrapped keys, in the database of keys; and the rows that are sealed with the former."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.tenancy.secrets import SealedValue, SecretPlace, TenantKey

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

_SEALED: Final = ("providers", "token_issuers")
"""Tables with a sealed column. Idempotent answers are another, but end within 24 hours."""


class PostgresTenantKeys:
    """`tenancy.secrets.TenantKeys` on the keys pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("tenant_keys")

    async def fetch(self, tenant_id: bytes) -> list[TenantKey]:
        """A tenant's keys; see `TenantKeys.fetch`."""
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["fetch_keys"], tenant_id)
        return [TenantKey(*record.values()) for record in records]

    async def add(self, key: TenantKey) -> bool:
        """Keep a key; see `TenantKeys.add`."""
        async with self._pools.keys() as connection:
            return bool(
                await connection.fetchval(self._sql["add_key"], key.tenant_id, key.number, key.wrapped)
            )

    async def replace(self, key: TenantKey, wrapped: bytes) -> bool:
        """Keep it wrapped in another way; see `TenantKeys.replace`."""
        async with self._pools.keys() as connection:
            return bool(
                await connection.fetchval(
                    self._sql["replace_key"], key.tenant_id, key.number, key.wrapped, wrapped
                )
            )

    async def page(self, after: bytes, limit: int) -> list[TenantKey]:
        """The next tenants' keys; see `TenantKeys.page`."""
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["page_keys"], after, limit)
        return [TenantKey(*record.values()) for record in records]

    async def retire(self, tenant_id: bytes, hours: int) -> int:
        """Remove replaced keys; see `TenantKeys.retire`."""
        async with self._pools.keys() as connection:
            return int(await connection.fetchval(self._sql["retire_keys"], tenant_id, hours))

    async def destroy(self, tenant_id: bytes) -> None:
        """Remove keys for ever; see `TenantKeys.destroy`."""
        async with self._pools.keys() as connection, connection.transaction():
            await connection.execute(self._sql["destroy_keys"], tenant_id)
            await connection.execute(self._sql["drop_keys"], tenant_id)


class PostgresRegionKeys:
    """Keys that belong to the region, by name, wrapped."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("tenant_keys")

    async def find(self, name: str) -> bytes | None:
        """What is kept under a name."""
        async with self._pools.keys() as connection:
            return await connection.fetchval(self._sql["find_region_key"], name)

    async def add(self, name: str, wrapped: bytes) -> None:
        """Keep a key; where there is one it stays."""
        async with self._pools.keys() as connection:
            await connection.execute(self._sql["add_region_key"], name, wrapped)

    async def replace(self, name: str, old: bytes, wrapped: bytes) -> bool:
        """Keep it wrapped in another way. False where something else is kept."""
        async with self._pools.keys() as connection:
            return bool(await connection.fetchval(self._sql["replace_region_key"], name, old, wrapped))


class PostgresKeyCensus:
    """Counts what is wrapped by which master key."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("tenant_keys")

    async def count(self) -> dict[bytes, int]:
        """How many keys (users', tenants', the region's) begin with which master key's number."""
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["count_keys"])
        return {record["number"]: record["keys"] for record in records}


class PostgresSealedRows:
    """`tenancy.secrets.SealedRows`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("sealed_rows")

    async def list_values(self, tenant_id: bytes) -> list[SealedValue]:
        """What is sealed for a tenant; see `SealedRows.list_values`."""
        values: list[SealedValue] = []
        async with self._pools.pipeline() as connection:
            for table in _SEALED:
                records = await connection.fetch(self._sql[f"list_{table}"], tenant_id)
                values += [
                    SealedValue(place_of(table, tenant_id, record["name"]), record["sealed"])
                    for record in records
                ]
        return values

    async def replace(self, value: SealedValue, sealed: bytes) -> bool:
        """Write it sealed anew; see `SealedRows.replace`."""
        place = value.place
        async with self._pools.pipeline() as connection:
            return bool(
                await connection.fetchval(
                    self._sql[f"replace_{place.table}"], place.tenant_id, place.row, value.sealed, sealed
                )
            )


_COLUMNS: Final = {"providers": "credentials", "token_issuers": "sealed_keys", "idempotency_keys": "body"}


def place_of(table: str, tenant_id: bytes, row: str) -> SecretPlace:
    """Where a row's secret stands."""
    return SecretPlace(tenant_id, table, _COLUMNS[table], row)
