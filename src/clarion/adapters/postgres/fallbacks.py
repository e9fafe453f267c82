"""Fallback chains in Postgres: taken when due, moved with the rows that they make, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clarion.adapters.postgres.accept import SWEEP_GRACE_MS, promises
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.commands import FallbackStep
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events, name_run
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.contracts.work import WorkItem, notification_id_of, sibling_ids
from clarion.orchestration.chains import Leg
from clarion.orchestration.fall_back import HistoryEntry, Move, Moved, NewLeg, Waiting
from clarion.templates import inline_channels

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

_steps: Final = msgspec.json.Decoder(list[FallbackStep]).decode
_history: Final = msgspec.json.Decoder(list[HistoryEntry]).decode
_data: Final = msgspec.json.Decoder(dict[str, Any]).decode


class ChainRecord(msgspec.Struct, frozen=True):
    """A chain as stored. `due_ms` (UTC ms): when it is looked at again, None when it is over."""

    steps: list[FallbackStep]
    step: int
    due_ms: int | None
    state: str
    history: list[HistoryEntry]


class PostgresFallbacks:
    """`FallbackStore` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("fallbacks")
        self._record_promise = load_queries("accept")["record_promise"]

    async def take(self, limit: int, *, lease_ms: int) -> list[Waiting]:
        """Chains that are due; see `FallbackStore.take`. Those whose notification is gone end here."""
        async with self._pools.pipeline() as connection, connection.transaction():
            chains = await connection.fetch(self._sql["take_chains"], limit, lease_ms)
            ids = [
                (ident, chain["created_at"])
                for chain in chains
                for ident in sibling_ids(chain["notification_id"])
            ]
            legs = await connection.fetch(
                self._sql["load_legs"], [ident for ident, _ in ids], [created_ms for _, created_ms in ids]
            )
            legs_of: dict[bytes, list[asyncpg.Record]] = {}
            for leg in legs:
                legs_of.setdefault(leg["notification_id"], []).append(leg)
            gone = [chain for chain in chains if chain["notification_id"] not in legs_of]
            if gone:
                await self._move(connection, [_end(chain) for chain in gone])
        return [
            _waiting(chain, legs_of[chain["notification_id"]])
            for chain in chains
            if chain["notification_id"] in legs_of
        ]

    async def move(self, moves: Sequence[Move], now_ms: int) -> Moved:
        """Commit moves with what they make; see `FallbackStore.move`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            moved = await self._move(connection, [_columns(move) for move in moves])
            ours = [move for move in moves if move.chain.notification_id in moved]
            legs = [(move.chain, move.leg) for move in ours if move.leg is not None]
            made, events = await self._make(connection, legs, now_ms)
            dropped, cancelled = await drop_deliveries(
                connection, [d for move in ours for d in move.drops], now_ms
            )
            if events or cancelled:
                promised = promises((event.tenant_id, event.delivery_id) for event in events)
                both = [*events, *cancelled]
                await connection.execute(
                    self._record_promise, *promised, NOTIFICATION_EVENTS.name, len(both), encode_events(both)
                )
        return Moved(made, dropped)

    async def _move(self, connection: PoolConnectionProxy, rows: Sequence[tuple[Any, ...]]) -> set[bytes]:
        if not rows:
            return set()
        columns = [list(column) for column in zip(*sorted(rows), strict=True)]
        return {
            record["notification_id"] for record in await connection.fetch(self._sql["move_chains"], *columns)
        }

    async def _make(
        self, connection: PoolConnectionProxy, legs: Sequence[tuple[Waiting, NewLeg]], now_ms: int
    ) -> tuple[list[WorkItem], list[NotificationEvent]]:
        if not legs:
            return [], []
        records = await connection.fetch(
            self._sql["insert_legs"],
            [leg.delivery_id for _, leg in legs],
            [leg.model_id for _, leg in legs],
            [chain.created_ms for chain, _ in legs],
            [leg.channel for _, leg in legs],
            [leg.status for _, leg in legs],
            [leg.decision for _, leg in legs],
            [leg.send_ms for _, leg in legs],
            [leg.score for _, leg in legs],
        )
        waiting = [record for record in records if record["status"] != "blocked"]
        if waiting:
            await connection.execute(
                self._sql["open_legs"],
                [record["global_id"] for record in waiting],
                [record["created_at"] for record in waiting],
                [record["tenant_id"] for record in waiting],
                [record["ml_send_time"] for record in waiting],
                [record["priority"] for record in waiting],
                [record["channel"] for record in waiting],
                SWEEP_GRACE_MS,
            )
        items = [
            WorkItem(r["global_id"], r["tenant_id"], r["channel"], r["priority"], r["ml_send_time"])
            for r in waiting
        ]
        kinds = ("blocked" if record["status"] == "blocked" else "accepted" for record in records)
        return items, [_event(record, kind, now_ms) for record, kind in zip(records, kinds, strict=True)]


async def drop_deliveries(
    connection: PoolConnectionProxy, ids: Sequence[bytes], now_ms: int
) -> tuple[list[WorkItem], list[NotificationEvent]]:
    """Cancel those of these deliveries that nobody sends, in the caller's transaction; what the queue may forget.

    The events are the caller's to record.
    """
    if not ids:
        return [], []
    sql = load_queries("fallbacks")
    taken = await connection.fetch(sql["close_legs"], sorted(ids))
    if not taken:
        return [], []
    records = await connection.fetch(
        sql["cancel_legs"], [r["global_id"] for r in taken], [r["created_at"] for r in taken]
    )
    items = [
        WorkItem(r["global_id"], r["tenant_id"], r["channel"], r["priority"], r["due_at"]) for r in taken
    ]
    return items, [_event(record, "cancelled", now_ms) for record in records]


def chain_of(record: asyncpg.Record) -> ChainRecord | None:
    """The chain in the columns `chain_…` of a record; None where they are null."""
    if record["chain_steps"] is None:
        return None
    return ChainRecord(
        _steps(record["chain_steps"]),
        record["chain_step"],
        record["chain_due_at"],
        record["chain_state"],
        _history(record["chain_history"]),
    )


async def wake_chains(connection: PoolConnectionProxy, delivery_ids: Collection[bytes]) -> None:
    """Let the chains of failed deliveries be looked at now, in the transaction that says that they failed."""
    await connection.execute(
        load_queries("fallbacks")["wake_chains"],
        sorted({notification_id_of(ident) for ident in delivery_ids}),
    )


def _waiting(chain: asyncpg.Record, legs: Sequence[asyncpg.Record]) -> Waiting:
    first = legs[0]
    dropped = {channel for entry in _history(chain["history"]) for channel in entry.cancelled}
    inline = inline_channels(_data(first["data"])) if first["data"] is not None else 0
    return Waiting(
        notification_id=chain["notification_id"],
        tenant_id=chain["tenant_id"],
        created_ms=chain["created_at"],
        steps=_steps(chain["steps"]),
        step=chain["step"],
        legs=[_leg(leg, dropped) for leg in legs],
        external_id=first["external_id"] or "",
        category=first["category"],
        priority=first["priority"],
        rendered=first["rendered"] or inline,
        expires_ms=first["expires_at"] or 0,
        is_test=first["is_test"],
    )


def _leg(record: asyncpg.Record, dropped: Collection[str]) -> Leg:
    return Leg(
        delivery_id=record["global_id"],
        channel=record["channel"],
        status=record["status"],
        send_ms=record["ml_send_time"] or 0,
        due_ms=record["due_at"] or 0,
        sent_ms=record["sent_at"] or 0,
        is_dropped=record["channel"] in dropped,
    )


def _end(chain: asyncpg.Record) -> tuple[Any, ...]:
    return (chain["notification_id"], chain["step"], chain["step"], None, "cancelled", b"[]")


def _columns(move: Move) -> tuple[Any, ...]:
    chain = move.chain
    return (chain.notification_id, chain.step, move.step, move.due_ms or None, move.state, move.history)


def _event(record: asyncpg.Record, kind: str, now_ms: int) -> NotificationEvent:
    return NotificationEvent(
        event_id=derive_event_id(record["global_id"], kind),
        type=kind,
        at_ms=now_ms,
        tenant_id=record["tenant_id"],
        notification_id=record["notification_id"],
        delivery_id=record["global_id"],
        user_id=record["user_id"],
        category=record["category"],
        channel=record["channel"],
        traceparent=record["traceparent"],
        is_test=record["is_test"],
        journey_id=name_run(record["journey_id"]),
    )
