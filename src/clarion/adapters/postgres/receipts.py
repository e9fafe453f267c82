"""Receipts: stored before the provider gets its 200, folded into notifications afterwards, never backwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec
from msgspec.structs import replace

from clarion.adapters.postgres.errors import map_error
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.delivery.links.visits import VISITS
from clarion.delivery.model import Receipt
from clarion.delivery.receipts import Folded, Tracked, fold_receipts
from clarion.delivery.suspects import describe_error
from clarion.kernel.errors import Transient
from clarion.kernel.ids import UUID_BYTES, created_ms

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

UNMATCHED_KEPT_MS: Final = 3_600_000
"""A receipt can beat the response that its delivery is recorded with; an hour later it is of no delivery of ours."""

UNMATCHED_WAIT_S: Final = 5.0

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Receipt]).decode


class _Batch(msgspec.Struct, frozen=True):
    """A row of the inbox. `received_ms` is UTC milliseconds."""

    provider: str
    payload: bytes
    received_ms: int


class PostgresReceipts:
    """`ReceiptSink`, and the projector's half of it."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("receipts")
        self._append_outbox = load_queries("accept")["append_outbox"]
        self._park = load_queries("parking")["park"]

    async def put(self, provider: str, receipts: Sequence[Receipt]) -> None:
        """Keep receipts of a provider's account. Durable when this returns. Raises Transient."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["store_receipts"], provider, len(receipts), _encode(list(receipts))
            )

    async def project(self, limit: int, now_ms: int) -> int:
        """Fold up to `limit` stored batches into the notifications, with their events; how many batches there were.

        One transaction: what is taken is folded, or stays; what cannot be folded even by itself is parked. Several
        projectors may run.
        """
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(self._sql["take_receipts"], limit)
            batches = [_Batch(r["provider"], r["payload"], r["received_at"]) for r in records]
            if batches and await self._failure(connection, batches, now_ms) is not None:
                for batch in batches:
                    await self._fold_alone(connection, batch, now_ms)
        return len(batches)

    async def _fold_alone(self, connection: PoolConnectionProxy, batch: _Batch, now_ms: int) -> None:
        """Fold what can be folded of a batch, and park the rest."""
        failure = await self._failure(connection, [batch], now_ms)
        if failure is None:
            return
        parts = _split(batch)
        if not parts:
            reason = describe_error(failure)
            await connection.execute(self._park, "receipts", batch.provider, batch.payload, reason)
        for part in parts:
            await self._fold_alone(connection, part, now_ms)

    async def _failure(
        self, connection: PoolConnectionProxy, batches: Sequence[_Batch], now_ms: int
    ) -> Exception | None:
        """Fold batches in a savepoint; what was wrong with them, if anything was. Raises Transient."""
        try:
            async with connection.transaction():
                await self._fold(connection, batches, now_ms)
        except Exception as error:
            if isinstance(map_error(error), Transient):
                raise
            return error
        return None

    async def _fold(self, connection: PoolConnectionProxy, batches: Sequence[_Batch], now_ms: int) -> None:
        receipts = [receipt for batch in batches for receipt in _decode(batch.payload)]
        ids = sorted({receipt.delivery_id for receipt in receipts if len(receipt.delivery_id) == UUID_BYTES})
        rows = await connection.fetch(self._sql["lock_statuses"], ids, [created_ms(i) for i in ids])
        known = {row["global_id"]: row for row in rows}
        folded = fold_receipts({i: _tracked(row) for i, row in known.items()}, receipts)
        await self._write(connection, folded, known, now_ms)
        await self._publish(connection, _visit_events(known, receipts))
        await self._postpone(connection, batches, folded, now_ms)

    async def _write(
        self, connection: PoolConnectionProxy, folded: Folded, known: dict[bytes, asyncpg.Record], now_ms: int
    ) -> None:
        changed = folded.changed
        if not changed:
            return
        await connection.execute(
            self._sql["fold_receipts"],
            list(changed),
            [created_ms(i) for i in changed],
            [tracked.status for tracked in changed.values()],
            [tracked.delivered_ms for tracked in changed.values()],
            [tracked.engaged_ms for tracked in changed.values()],
        )
        await self._publish(connection, [_event(known[i], tracked, now_ms) for i, tracked in changed.items()])

    async def _publish(self, connection: PoolConnectionProxy, events: list[NotificationEvent]) -> None:
        if events:
            await connection.execute(
                self._append_outbox, NOTIFICATION_EVENTS.name, len(events), encode_events(events)
            )

    async def _postpone(
        self,
        connection: PoolConnectionProxy,
        batches: Sequence[_Batch],
        folded: Folded,
        now_ms: int,
    ) -> None:
        """Keep receipts of unknown deliveries for another while."""
        # A visit cannot beat its delivery's row: the message that it comes from was made of it.
        unmatched = {receipt.receipt_id for receipt in folded.unmatched if receipt.kind not in VISITS}
        for batch in batches if unmatched else ():
            if now_ms - batch.received_ms > UNMATCHED_KEPT_MS:
                continue
            waiting = [r for r in _decode(batch.payload) if r.receipt_id in unmatched]
            if waiting:
                await connection.execute(
                    self._sql["postpone_receipts"],
                    batch.provider,
                    len(waiting),
                    _encode(waiting),
                    batch.received_ms,
                    UNMATCHED_WAIT_S,
                )


def _split(batch: _Batch) -> list[_Batch]:
    """A batch a receipt; empty where there is nothing to take apart."""
    try:
        receipts = _decode(batch.payload)
    except msgspec.MsgspecError:
        return []
    return [replace(batch, payload=_encode([r])) for r in receipts] if len(receipts) > 1 else []


def _tracked(row: asyncpg.Record) -> Tracked:
    return Tracked(row["status"], row["delivered_at"], row["engaged_at"])


def _event(row: asyncpg.Record, tracked: Tracked, now_ms: int) -> NotificationEvent:
    """A delivery's new status."""
    return _about(row, tracked.status, tracked.engaged_ms or tracked.delivered_ms or now_ms)


def _visit_events(
    known: Mapping[bytes, asyncpg.Record], receipts: Sequence[Receipt]
) -> list[NotificationEvent]:
    """An event per delivery and kind of visit. A later visit of the kind has the same event id: it is a repeat."""
    first: dict[tuple[bytes, str], int] = {}
    for receipt in receipts:
        if receipt.kind in VISITS and receipt.delivery_id in known:
            first.setdefault((receipt.delivery_id, receipt.kind), receipt.at_ms)
    return [_about(known[ident], kind, at_ms) for (ident, kind), at_ms in first.items()]


def _about(row: asyncpg.Record, kind: str, at_ms: int) -> NotificationEvent:
    return NotificationEvent(
        event_id=derive_event_id(row["global_id"], kind),
        type=kind,
        at_ms=at_ms,
        tenant_id=row["tenant_id"],
        notification_id=row["notification_id"],
        delivery_id=row["global_id"],
        user_id=row["user_id"],
        category=row["category"],
        channel=row["channel"],
        provider=row["provider"] or "",
        traceparent=row["traceparent"],
        is_test=row["is_test"],
    )
