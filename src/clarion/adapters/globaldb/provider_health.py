"""How accounts with providers do, told by each region to all."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.delivery.health import ProviderHealth


class GlobalProviderHealth:
    """`ProviderHealthReader` and `ProviderHealthWriter` on the global store."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = load_queries("provider_health")

    async def read(self, tenant_id: bytes, provider: str) -> list[ProviderHealth]:
        """The account's health by region; see `ProviderHealthReader.read`."""
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["read_health"], uuid.UUID(bytes=tenant_id), provider)
        )
        return [_health(record) for record in records]

    async def publish(self, reports: Sequence[ProviderHealth]) -> None:
        """Replace what this region said of these accounts; see `ProviderHealthWriter.publish`."""
        if not reports:
            return
        # In one order everywhere: two workers that write the same rows do not wait for each other in a circle.
        rows = [_row(report) for report in sorted(reports, key=lambda one: (one.tenant_id, one.provider))]
        columns = [list(column) for column in zip(*rows, strict=True)]
        await with_retries(lambda: self._pool.execute(self._sql["publish_health"], *columns))

    async def drop_older(self, region: str, before_ms: int) -> None:
        """Forget accounts of a region of which nothing was said since `before_ms`. Raises Transient."""
        await with_retries(lambda: self._pool.execute(self._sql["drop_health"], region, before_ms))


def _row(report: ProviderHealth) -> tuple[Any, ...]:
    return (uuid.UUID(bytes=report.tenant_id), *msgspec.structs.astuple(report)[1:])


def _health(record: asyncpg.Record) -> ProviderHealth:
    tenant_id, *rest = record
    return ProviderHealth(tenant_id.bytes, *rest)
