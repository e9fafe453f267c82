"""`SuspectStore` in Postgres: what is held against deliveries, and how they become dead letters."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events, name_run
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.delivery.suspects import MAX_CRASHES, Suspicion
from clarion.kernel.ids import UUID_BYTES

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

_NOTHING: Final[dict[bytes, Suspicion]] = {}


class PostgresSuspects:
    """`SuspectStore` on the pipeline pool. One object a process: it stands for that process in trials."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("suspects")
        self._append_outbox = load_queries("accept")["append_outbox"]
        self._process = os.urandom(UUID_BYTES)

    async def any_suspects(self) -> bool:
        """Whether the region has any."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["any_suspects"]))

    async def note_lost(self, ids: Sequence[bytes], *, claimed: bool) -> None:
        """Make suspects of open deliveries that a dead worker held; see `SuspectStore.note_lost`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["note_lost"], sorted(ids), claimed)

    async def suspects(self, ids: Sequence[bytes]) -> dict[bytes, Suspicion]:
        """The suspects among the deliveries; see `SuspectStore.suspects`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_suspects"], ids)
            if not records:
                return _NOTHING
            found = [record["global_id"] for record in records]
            await connection.execute(self._sql["count_ended_trials"], found, self._process)
            records = await connection.fetch(self._sql["read_suspects"], found)
        return {record["global_id"]: self._suspicion(record) for record in records}

    def _suspicion(self, record: asyncpg.Record) -> Suspicion:
        held = record["trial_until"] if record["trial_by"] != self._process else None
        return Suspicion(record["global_id"], record["crashes"], record["deliveries"], held or 0)

    async def begin_trials(self, ids: Sequence[bytes], *, trial_ms: int) -> set[bytes]:
        """Commit that this process tries them; see `SuspectStore.begin_trials`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["begin_trials"], sorted(ids), self._process, float(trial_ms)
            )
        return {record["global_id"] for record in records}

    async def end_trials(self, ids: Collection[bytes]) -> None:
        """Say that this process lived through it; see `SuspectStore.end_trials`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["end_trials"], sorted(ids))

    async def strike(self, ids: Sequence[bytes], error: str) -> dict[bytes, int]:
        """Count a claim that came to nothing; see `SuspectStore.strike`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["strike"], sorted(ids), error)
        return {record["global_id"]: record["deliveries"] for record in records}

    async def bury(self, ids: Sequence[bytes], now_ms: int) -> dict[bytes, str]:
        """Make dead letters of suspects, with their events; see `SuspectStore.bury`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(self._sql["bury"], sorted(ids), MAX_CRASHES)
            if records:
                events = [_died(record, now_ms) for record in records]
                await connection.execute(
                    self._append_outbox, NOTIFICATION_EVENTS.name, len(events), encode_events(events)
                )
        return {record["global_id"]: record["reason"] for record in records}


def _died(record: asyncpg.Record, now_ms: int) -> NotificationEvent:
    return NotificationEvent(
        event_id=derive_event_id(record["global_id"], "dead_letter", record["lease_epoch"]),
        type=record["status"],
        at_ms=now_ms,
        tenant_id=record["tenant_id"],
        notification_id=record["notification_id"],
        delivery_id=record["global_id"],
        user_id=record["user_id"],
        category=record["category"],
        channel=record["channel"],
        provider=record["provider"],
        detail=record["reason"],
        traceparent=record["traceparent"],
        is_test=record["is_test"],
        journey_id=name_run(record["journey_id"]),
    )
