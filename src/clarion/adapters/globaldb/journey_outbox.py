"""Journey events on their way to the log: they leave the global store only after the log has them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries


class OutboxBatch(msgspec.Struct, frozen=True):
    """The events of one transaction, as `contracts.journey_events.encode_journey_events` gives them."""

    outbox_id: uuid.UUID
    payload: bytes


class GlobalJourneyOutbox:
    """The journey events of one region."""

    def __init__(self, pool: asyncpg.Pool, region: str) -> None:
        self._pool = pool
        self._region = region
        self._sql = load_queries("journey_outbox")

    @asynccontextmanager
    async def take(self, limit: int) -> AsyncGenerator[list[OutboxBatch]]:
        """Up to `limit` batches, oldest first; they are gone when the block ends without an error, else they stay.

        No two takers get the same. The store's errors come through as they are.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            records = await connection.fetch(self._sql["take_outbox"], self._region, limit)
            yield [OutboxBatch(record["outbox_id"], record["payload"]) for record in records]
            if records:
                await connection.execute(
                    self._sql["drop_outbox"], [record["outbox_id"] for record in records]
                )

    async def backlog(self) -> int:
        """Events that wait. Raises Transient."""
        return int(await with_retries(lambda: self._pool.fetchval(self._sql["outbox_backlog"], self._region)))
