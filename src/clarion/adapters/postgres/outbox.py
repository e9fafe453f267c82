"""The outbox: events leave Postgres only after the log has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class OutboxEntry(msgspec.Struct, frozen=True):
    """One transaction's events: `payload` as made by `contracts.events.encode_events`."""

    outbox_id: int
    topic: str
    payload: bytes


class PostgresOutbox:
    """`Outbox` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("outbox")

    @asynccontextmanager
    async def take(self, limit: int) -> AsyncGenerator[list[OutboxEntry]]:
        """Up to `limit` entries, oldest first; they are gone when the block ends without an error, else they stay."""
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(self._sql["take_outbox"], limit)
            entries = [OutboxEntry(r["outbox_id"], r["topic"], r["payload"]) for r in records]
            entries.sort(key=lambda entry: entry.outbox_id)
            yield entries

    async def backlog(self) -> tuple[int, float]:
        """Events that wait, and the age of the oldest in seconds."""
        async with self._pools.pipeline() as connection:
            (record,) = await connection.fetch(self._sql["outbox_backlog"])
        return int(record["events"]), float(record["age_s"])
