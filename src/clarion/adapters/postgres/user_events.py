"""What users did: one row an event, one rollup a user and event, one outbox row a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.audience.events import EventRow
from clarion.contracts.topics import USER_EVENTS
from clarion.contracts.user_events import encode_user_events

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

KEPT_DAYS: Final = 30
"""How long single events are kept, and so for how long a repeat is known as one."""

DROPPED_AT_ONCE: Final = 5_000


class PostgresUserEvents:
    """`audience.events.EventStore`, and the end of old events."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("user_events")
        self._append_outbox = load_queries("accept")["append_outbox"]

    async def record(self, rows: Sequence[EventRow]) -> None:
        """Keep events; see `EventStore.record`. One transaction of two statements."""
        events = [row.event for row in rows]
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(
                self._sql["record_events"],
                [event.event_id for event in events],
                [event.tenant_id for event in events],
                [event.user_id for event in events],
                [event.name for event in events],
                [event.at_ms for event in events],
                [row.properties for row in rows],
            )
            fresh = {record["event_id"] for record in records}
            published = [event for event in events if event.event_id in fresh]
            if published:
                payload = encode_user_events(published)
                await connection.execute(self._append_outbox, USER_EVENTS.name, len(published), payload)

    async def read_properties(self, event_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """The sealed properties of events, by id; absent where there are none (any more). Raises Transient."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_properties"], event_ids)
        return {record["event_id"]: record["properties"] for record in records}

    async def drop_old(self) -> bool:
        """Delete some events that are older than KEPT_DAYS; whether there may be more."""
        async with self._pools.pipeline() as connection:
            done = await connection.execute(self._sql["drop_old_events"], KEPT_DAYS, DROPPED_AT_ONCE)
        return done == f"DELETE {DROPPED_AT_ONCE}"
