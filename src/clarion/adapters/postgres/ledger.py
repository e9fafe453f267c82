"""The ledger's questions to Postgres."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class DayBalance(msgspec.Struct, frozen=True):
    """One tenant's day: deliveries promised (`accept_batches`) and kept (rows), and whether their ids agree."""

    tenant_id: bytes
    day: date
    promised: int
    kept: int
    same_ids: bool


class OpenCount(msgspec.Struct, frozen=True):
    """Open deliveries in all, those not due yet, and those overdue without a live lease."""

    open: int
    waiting: int
    overdue: int


class Orphan(msgspec.Struct, frozen=True):
    """A row that contradicts another."""

    delivery_id: bytes
    status: str
    problem: str


class PostgresLedger:
    """Reads what was promised and what became of it, over all tenants."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ledger")

    async def balances(self) -> list[DayBalance]:
        """Promised and kept per tenant and UTC day, in that order."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["compare_promises"])
        return [DayBalance(*record.values()) for record in records]

    async def statuses(self) -> dict[str, int]:
        """Deliveries by status."""
        async with self._pools.pipeline() as connection:
            return {r["status"]: r["deliveries"] for r in await connection.fetch(self._sql["count_statuses"])}

    async def open_count(self, grace_s: float) -> OpenCount:
        """Open deliveries; overdue are those due more than `grace_s` seconds ago that nobody holds."""
        async with self._pools.pipeline() as connection:
            (record,) = await connection.fetch(self._sql["count_open"], grace_s)
        return OpenCount(*record.values())

    async def orphans(self) -> list[Orphan]:
        """Up to 100 rows that contradict each other."""
        async with self._pools.pipeline() as connection:
            return [Orphan(*record.values()) for record in await connection.fetch(self._sql["find_orphans"])]
