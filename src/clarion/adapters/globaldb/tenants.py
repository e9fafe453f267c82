"""The names of tenants, unique in the world."""

from __future__ import annotations

import uuid
from typing import Final

import asyncpg

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.kernel.errors import Transient
from clarion.tenancy.model import TenantEntry

PORTION: Final = 5_000
"""Rows that go together: no transaction is long."""

_MANY: Final = ("forget_runs", "forget_counts")
_FEW: Final = (
    "forget_moves",
    "forget_migrations",
    "forget_cursors",
    "forget_versions",
    "forget_journeys",
    "forget_accounts",
    "release_tenant",
)


class GlobalTenants:
    """`TenantDirectory` on the global store."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = load_queries("tenants")

    async def register(self, entry: TenantEntry) -> TenantEntry:
        """Take the entry's name, or find who has it; see `TenantDirectory.register`."""

        async def insert() -> asyncpg.Record | None:
            await self._pool.execute(
                self._sql["register_tenant"], uuid.UUID(bytes=entry.tenant_id), entry.name, entry.home_region
            )
            return await self._pool.fetchrow(self._sql["find_tenant"], entry.name)

        record = await with_retries(insert)
        if record is None:
            detail = f"the tenant {entry.name} was removed while it was made; try again"
            raise Transient(detail)
        return TenantEntry(record["tenant_id"].bytes, entry.name, record["home_region"])

    async def find(self, name: str) -> TenantEntry | None:
        """The tenant of this name, or None."""
        record = await with_retries(lambda: self._pool.fetchrow(self._sql["find_tenant"], name))
        return TenantEntry(record["tenant_id"].bytes, name, record["home_region"]) if record else None

    async def release(self, tenant_id: bytes) -> None:
        """Give a tenant's name free, and forget its journeys and how its accounts did. Again it finds nothing more."""
        ident = uuid.UUID(bytes=tenant_id)
        for statement in _MANY:
            while await with_retries(
                lambda sql=self._sql[statement]: self._pool.fetchval(sql, ident, PORTION)
            ):
                pass
        for statement in _FEW:
            await with_retries(lambda sql=self._sql[statement]: self._pool.execute(sql, ident))
