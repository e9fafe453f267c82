"""Broadcasts as their tenant makes, reads and steers them, and their snapshots. Reads are the tenant's own only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.audience.model import Member
from clarion.delivery.state_machine import progress_order
from clarion.orchestration.broadcasts import Balance, Message, Plan, Source, Timing, balance
from clarion.orchestration.fan_out import Forecast, add_forecasts
from clarion.orchestration.snapshot import ChunkDraft, Collecting, Page

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

LIST_PAGE: Final = 5_000
"""Names of a list that are kept together, and become members together."""

_encode: Final = msgspec.json.Encoder().encode
_source: Final = msgspec.json.Decoder(Source).decode
_message: Final = msgspec.json.Decoder(Message).decode
_timing: Final = msgspec.json.Decoder(Timing).decode
_counts: Final = msgspec.json.Decoder(dict[str, int]).decode
_forecast: Final = msgspec.json.Decoder(Forecast).decode


class BroadcastRecord(msgspec.Struct, frozen=True):
    """A broadcast as stored. Times are UTC ms; `next_due_ms`: of the next chunk that is not accepted yet."""

    broadcast_id: bytes
    name: str
    environment: str
    stage: str
    held: bool
    rehearsal: bool
    source: Source
    message: Message
    timing: Timing
    rate_per_s: float
    audience: int
    failure: str
    created_ms: int
    ended_ms: int | None
    next_due_ms: int | None


class Reasons(msgspec.Struct, frozen=True):
    """Why members got no notification (`refused`), and whom which rule left without a channel (`rules`)."""

    refused: dict[str, int]
    rules: dict[str, int]


def _record(record: asyncpg.Record) -> BroadcastRecord:
    return BroadcastRecord(
        broadcast_id=record["broadcast_id"],
        name=record["name"],
        environment=record["environment"],
        stage=record["stage"],
        held=record["held"],
        rehearsal=record["rehearsal"],
        source=_source(record["source"]),
        message=_message(record["message"]),
        timing=_timing(record["timing"]),
        rate_per_s=record["rate_per_s"],
        audience=record["audience"],
        failure=record["failure"],
        created_ms=record["created_at"],
        ended_ms=record["ended_at"],
        next_due_ms=record["next_due_at"],
    )


class PostgresBroadcasts:
    """What the API does with broadcasts."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("broadcasts")

    async def create(self, plan: Plan, request: bytes | None) -> bytes:
        """Keep a broadcast; its id. Durable when this returns.

        `request`: a hash of the idempotency key that it was asked for under. One that was made under the same key in
        the last 24 hours is given instead: its maker died before it could say so. The caller holds the key's lock.
        """
        async with self._pools.pipeline() as connection, connection.transaction():
            if request is not None:
                known = await connection.fetchval(self._sql["find_request"], plan.tenant_id, request)
                if known is not None:
                    return known
            await connection.execute(
                self._sql["insert_broadcast"],
                plan.broadcast_id,
                plan.tenant_id,
                plan.environment,
                plan.name,
                plan.rehearsal,
                *(_encode(part) for part in (plan.source, plan.message, plan.timing)),
                plan.rate_per_s,
                plan.chunk_size,
                request,
            )
            if plan.names:
                starts = range(0, len(plan.names), LIST_PAGE)
                pages = [_encode(plan.names[start : start + LIST_PAGE]) for start in starts]
                await connection.execute(self._sql["insert_list"], plan.tenant_id, plan.broadcast_id, pages)
        return plan.broadcast_id

    async def read(self, tenant_id: bytes, broadcast_id: bytes) -> BroadcastRecord | None:
        """One broadcast, or None where the tenant has no such one."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_broadcast"], broadcast_id)
        return None if record is None else _record(record)

    async def list(self, tenant_id: bytes, before: bytes, limit: int) -> list[BroadcastRecord]:
        """The tenant's broadcasts with ids below `before`, newest first, at most `limit`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_broadcasts"], tenant_id, before, limit)
        return [_record(record) for record in records]

    async def balance(self, tenant_id: bytes, broadcast_id: bytes) -> Balance:
        """The books, as of one instant. Costs what is under way: settled chunks are one row each."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["count_members"], broadcast_id, progress_order())
        if record is None or record["audience"] is None:
            return balance(0, {})
        return balance(record["audience"], _counts(record["statuses"]))

    async def reasons(self, tenant_id: bytes, broadcast_id: bytes) -> Reasons:
        """Why members were refused or blocked when they were decided about."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["sum_reasons"], broadcast_id)
        return Reasons({}, {}) if record is None else Reasons(*(_counts(part) for part in record.values()))

    async def forecast(self, tenant_id: bytes, broadcast_id: bytes) -> Forecast:
        """What the examined part of a rehearsal would come to."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["read_forecasts"], broadcast_id)
        return add_forecasts([_forecast(record["forecast"]) for record in records])

    async def hold(self, tenant_id: bytes, broadcast_id: bytes) -> bool:
        """Pause: nothing more is accepted once this returns. False: there is nothing to pause."""
        return await self._steer("hold_broadcast", tenant_id, broadcast_id)

    async def resume(self, tenant_id: bytes, broadcast_id: bytes) -> bool:
        """Go on. False: there is nothing to go on with."""
        return await self._steer("resume_broadcast", tenant_id, broadcast_id)

    async def cancel(self, tenant_id: bytes, broadcast_id: bytes) -> bool:
        """Stop for good: nothing more is accepted once this returns. False: it is over."""
        return await self._steer("cancel_broadcast", tenant_id, broadcast_id)

    async def _steer(self, query: str, tenant_id: bytes, broadcast_id: bytes) -> bool:
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql[query], tenant_id, broadcast_id))


class PostgresSnapshots:
    """`orchestration.snapshot.SnapshotStore` and `Roll`, on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("broadcasts")

    async def take(self) -> Collecting | None:
        """One of the snapshots that are being taken, by chance; None where none is."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["take_collecting"])
        if record is None:
            return None
        return Collecting(
            broadcast_id=record["broadcast_id"],
            tenant_id=record["tenant_id"],
            source=_source(record["source"]),
            timing=_timing(record["timing"]),
            cursor=record["cursor"],
            chunk_size=record["chunk_size"],
            chunks=record["chunks"],
        )

    async def append(self, collecting: Collecting, page: Page, chunks: Sequence[ChunkDraft]) -> bool:
        """Write chunks and move the cursor; see `SnapshotStore.append`."""
        broadcast_id = collecting.broadcast_id
        members = len(page.members) + len(page.strangers)
        move = (broadcast_id, collecting.cursor, page.cursor, len(chunks), members, page.is_last)
        async with self._pools.pipeline() as connection, connection.transaction():
            if not await connection.fetchval(self._sql["move_cursor"], *move):
                return False
            await connection.execute(
                self._sql["insert_chunks"],
                collecting.tenant_id,
                broadcast_id,
                [collecting.chunks + i for i in range(len(chunks))],
                [chunk.due_ms for chunk in chunks],
                [_encode(chunk.names) for chunk in chunks],
                [chunk.refused or None for chunk in chunks],
            )
            if page.is_last:
                await connection.execute(self._sql["begin_sending"], broadcast_id)
                await connection.execute(self._sql["drop_list"], broadcast_id)
        return True

    async def fail(self, broadcast_id: bytes, reason: str) -> None:
        """End a broadcast that gets no audience."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["fail_broadcast"], broadcast_id, reason)

    async def page_all(self, tenant_id: bytes, after_user_id: int, limit: int) -> list[Member]:
        """The tenant's users by rising number; see `Roll.page_all`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["page_all"], tenant_id, after_user_id, limit)
        return [Member(*_values(record)) for record in records]

    async def page_list(self, broadcast_id: bytes, page: int) -> Page:
        """One page of a broadcast's list; see `Roll.page_list`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["page_list"], broadcast_id, page)
        members = [
            Member(r["user_id"], r["name"], r["timezone"]) for r in records if r["user_id"] is not None
        ]
        strangers = [record["name"] for record in records if record["user_id"] is None]
        return Page(members, strangers, page + bool(records), is_last=len(records) < LIST_PAGE)


def _values(record: asyncpg.Record) -> tuple[Any, ...]:
    return tuple(record.values())
