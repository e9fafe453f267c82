"""The outbox: events leave Postgres only after the log has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, encode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class OutboxEntry(msgspec.Struct, frozen=True):
    """One transaction's events: `payload` as made by `contracts.events.encode_events`."""

    outbox_id: int
    topic: str
    payload: bytes


class TakenEntries:
    """Entries under way to the log, oldest first; `park` keeps one of them back for good."""

    def __init__(
        self, entries: Sequence[OutboxEntry], park: Callable[[OutboxEntry, str], Awaitable[None]]
    ) -> None:
        self.entries = entries
        self.park = park


class PostgresOutbox:
    """`Outbox` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("outbox")
        self._park = load_queries("parking")["park"]
        self._append = load_queries("accept")["append_outbox"]

    async def append(self, events: Sequence[NotificationEvent]) -> None:
        """Have events published that no other change of the database comes with. Raises Transient."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._append, NOTIFICATION_EVENTS.name, len(events), encode_events(list(events))
            )

    @asynccontextmanager
    async def take(self, limit: int) -> AsyncGenerator[TakenEntries]:
        """Up to `limit` entries; they are gone (or parked) when the block ends without an error, else they stay."""
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(self._sql["take_outbox"], limit)
            entries = [OutboxEntry(r["outbox_id"], r["topic"], r["payload"]) for r in records]
            entries.sort(key=lambda entry: entry.outbox_id)

            async def park(entry: OutboxEntry, reason: str) -> None:
                await connection.execute(self._park, "outbox", entry.topic, entry.payload, reason)

            yield TakenEntries(entries, park)

    async def backlog(self) -> tuple[int, float]:
        """Events that wait, and the age of the oldest in seconds."""
        async with self._pools.pipeline() as connection:
            (record,) = await connection.fetch(self._sql["outbox_backlog"])
        return int(record["events"]), float(record["age_s"])
