"""Promises made durable: one transaction for a whole batch of accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from clarion.adapters.postgres.codecs import EPOCH_US
from clarion.adapters.postgres.copy_encoder import CopyLayout, encode_jsonb, encode_text, stream
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, encode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.kernel.errors import Permanent
from clarion.kernel.ids import created_ms, id_sum
from clarion.orchestration.model import (
    AcceptGroup,
    Chain,
    ChunkProgress,
    Committed,
    GroupOutcome,
    KeyBusy,
    KeyReused,
    Overtaken,
    Repeated,
    Replayed,
    Row,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

SWEEP_GRACE_MS: Final = 60_000
"""How long after its due time a delivery may stay untouched before the sweeper queues it again."""

CREATED: Final = 201

_NOTIFICATIONS: Final = CopyLayout(
    fixed=(
        ("global_id", "V16"),
        ("notification_id", "V16"),
        ("tenant_id", "V16"),
        ("created_at", ">i8"),
        ("user_id", ">i8"),
        ("priority", ">i4"),
        ("template_version", ">i4"),
        ("ml_send_time", ">i8"),
        ("ml_channel_score", ">f8"),
        ("expires_at", ">i8"),
        ("is_test", "?"),
    ),
    variable=(
        "category",
        "channel",
        "status",
        "template",
        "journey_id",
        "traceparent",
        "payload",
        "personalization",
        "metadata",
        "decision",
    ),
)
_OPEN: Final = CopyLayout(
    fixed=(
        ("global_id", "V16"),
        ("tenant_id", "V16"),
        ("created_at", ">i8"),
        ("due_at", ">i8"),
        ("visible_at", ">i8"),
        ("priority", ">i2"),
    ),
    variable=("channel",),
)


def _times(values: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64) * 1000 - EPOCH_US


def encode_notifications(rows: Sequence[Row]) -> bytes:
    """The COPY stream of `notifications` for these rows."""
    return _NOTIFICATIONS.encode(
        {
            "global_id": b"".join([r.delivery_id for r in rows]),
            "notification_id": b"".join([r.notification_id for r in rows]),
            "tenant_id": b"".join([r.tenant_id for r in rows]),
            "created_at": _times([r.created_ms for r in rows]),
            "user_id": np.array([r.user_id for r in rows], np.int64),
            "priority": np.array([r.priority for r in rows], np.int32),
            "template_version": np.array([r.template_version for r in rows], np.int32),
            "ml_send_time": _times([r.send_ms for r in rows]),
            "ml_channel_score": np.array([r.score for r in rows], np.float64),
            "expires_at": _times([r.expires_ms for r in rows]),
            "is_test": np.array([r.is_test for r in rows], np.bool_),
        },
        (
            encode_text([r.category for r in rows]),
            encode_text([r.channel for r in rows]),
            encode_text([r.status for r in rows]),
            encode_text([r.template for r in rows]),
            encode_text([r.journey_id for r in rows]),
            encode_text([r.traceparent for r in rows]),
            encode_jsonb([r.payload for r in rows]),
            encode_jsonb([r.personalization for r in rows]),
            encode_jsonb([r.metadata for r in rows]),
            encode_jsonb([r.decision for r in rows]),
        ),
    )


def _encode_open(rows: Sequence[Row]) -> bytes:
    due = _times([r.send_ms for r in rows])
    return _OPEN.encode(
        {
            "global_id": b"".join([r.delivery_id for r in rows]),
            "tenant_id": b"".join([r.tenant_id for r in rows]),
            "created_at": _times([r.created_ms for r in rows]),
            "due_at": due,
            "visible_at": due + SWEEP_GRACE_MS * 1000,
            "priority": np.array([r.priority for r in rows], np.int16),
        },
        (encode_text([r.channel for r in rows]),),
    )


def promises(
    rows: Iterable[tuple[bytes, bytes]],
) -> tuple[list[bytes], list[date], list[int], list[Decimal]]:
    """The columns of `record_promise` for deliveries (pairs of tenant and delivery id): tenants, days, counts, sums."""
    by_key: dict[tuple[bytes, date], list[bytes]] = {}
    for tenant_id, delivery_id in rows:
        day = datetime.fromtimestamp(created_ms(delivery_id) / 1000, UTC).date()
        by_key.setdefault((tenant_id, day), []).append(delivery_id)
    sums = [Decimal(id_sum(b"".join(ids))) for ids in by_key.values()]
    return [t for t, _ in by_key], [d for _, d in by_key], [len(ids) for ids in by_key.values()], sums


class PostgresAcceptStore:
    """`AcceptStore` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("accept")
        self._chunks = load_queries("broadcast_chunks")
        self._insert_chains = load_queries("fallbacks")["write_chains"]

    async def commit(
        self, groups: Sequence[AcceptGroup], events: Sequence[NotificationEvent]
    ) -> list[GroupOutcome]:
        """Write the groups that are not repeats; see `AcceptStore.commit`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            outcomes = await self._resolve_keys(connection, groups)
            await self._resolve_ids(connection, groups, outcomes)
            for i, group in enumerate(groups):
                if group.progress is not None and not await self._advance(connection, group.progress):
                    outcomes[i] = Overtaken()
            chosen = [g for g, o in zip(groups, outcomes, strict=True) if isinstance(o, Committed)]
            rows = [row for group in chosen for row in group.rows]
            if rows:
                await self._write(
                    connection, rows, self._kept(events, rows, whole=len(chosen) == len(groups))
                )
            await self._store_keys(connection, chosen)
        return outcomes

    async def storable(self, rows: Sequence[Row]) -> bool:
        """Whether PostgreSQL takes these rows: tried inside a transaction that is rolled back."""
        try:
            async with self._pools.pipeline() as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await self._copy(connection, "notifications", _NOTIFICATIONS, encode_notifications(rows))
                finally:
                    await transaction.rollback()
        except Permanent:
            return False
        return True

    @staticmethod
    def _kept(
        events: Sequence[NotificationEvent], rows: Sequence[Row], *, whole: bool
    ) -> Sequence[NotificationEvent]:
        if whole:
            return events
        written = {row.delivery_id for row in rows}
        return [event for event in events if event.delivery_id in written]

    @staticmethod
    async def _copy(connection: PoolConnectionProxy, table: str, layout: CopyLayout, encoded: bytes) -> None:
        await connection.copy_to_table(table, source=stream(encoded), columns=layout.columns, format="binary")

    async def _write(
        self, connection: PoolConnectionProxy, rows: Sequence[Row], events: Sequence[NotificationEvent]
    ) -> None:
        await self._copy(connection, "notifications", _NOTIFICATIONS, encode_notifications(rows))
        waiting = [row for row in rows if row.open]
        if waiting:
            await self._copy(connection, "open_deliveries", _OPEN, _encode_open(waiting))
        chains = [row.chain for row in rows if row.chain is not None]
        if chains:
            await self._write_chains(connection, chains)
        outbox = (NOTIFICATION_EVENTS.name, len(events), encode_events(list(events)))
        await connection.execute(
            self._sql["record_promise"], *promises((row.tenant_id, row.delivery_id) for row in rows), *outbox
        )

    async def _write_chains(self, connection: PoolConnectionProxy, chains: Sequence[Chain]) -> None:
        await connection.execute(
            self._insert_chains,
            [chain.notification_id for chain in chains],
            [chain.created_ms for chain in chains],
            [chain.tenant_id for chain in chains],
            [chain.steps for chain in chains],
            [chain.due_ms for chain in chains],
        )

    async def _advance(self, connection: PoolConnectionProxy, progress: ChunkProgress) -> bool:
        """Move a broadcast's checkpoint over one chunk, in the transaction that writes its rows. False: not ours to.

        The broadcast's row is locked until the commit: a pause waits for it, and nothing is accepted after a pause.
        """
        ref = progress.ref
        if not await connection.fetchval(self._chunks["pass_broadcast"], ref.broadcast_id, progress.members):
            return False
        first, last = progress.ids or (None, None)
        return bool(
            await connection.fetchval(
                self._chunks["accept_chunk"],
                ref.broadcast_id,
                ref.number,
                first,
                last,
                progress.accepted_ms,
                sum(progress.refused.values()),
                msgspec.json.encode(progress.refused),
                msgspec.json.encode(progress.rules),
                msgspec.json.encode(progress.statuses),
                progress.deliveries,
            )
        )

    async def _resolve_keys(
        self, connection: PoolConnectionProxy, groups: Sequence[AcceptGroup]
    ) -> list[GroupOutcome]:
        outcomes: list[GroupOutcome] = [Committed()] * len(groups)
        claims = [(i, g, g.claim) for i, g in enumerate(groups) if g.claim is not None]
        if not claims:
            return outcomes
        names = [f"{g.tenant_id.hex()}:{g.environment}:{c.route}:{c.key}" for _, g, c in claims]
        locks = await connection.fetch(self._sql["lock_keys"], names)
        for (i, _, _), lock in zip(claims, locks, strict=True):
            if not lock["taken"]:
                outcomes[i] = KeyBusy()
        found = await connection.fetch(
            self._sql["find_keys"],
            [g.tenant_id for _, g, _ in claims],
            [g.environment for _, g, _ in claims],
            [c.route for _, _, c in claims],
            [c.key for _, _, c in claims],
        )
        for record in found:
            place: int = record["i"]
            i, _, claim = claims[place - 1]
            if isinstance(outcomes[i], KeyBusy):
                continue
            same = record["fingerprint"] == claim.fingerprint
            outcomes[i] = Replayed(record["status"], record["body"]) if same else KeyReused()
        return outcomes

    async def _resolve_ids(
        self, connection: PoolConnectionProxy, groups: Sequence[AcceptGroup], outcomes: list[GroupOutcome]
    ) -> None:
        """Turn groups whose notification is there already into repeats.

        The ids are locked until the commit, so whoever comes next finds what is written now: no row needs a check.
        """
        asked = [i for i, g in enumerate(groups) if g.ident and isinstance(outcomes[i], Committed)]
        if not asked:
            return
        idents = [groups[i].ident for i in asked]
        locks = await connection.fetch(self._sql["lock_keys"], [ident.hex() for ident in idents])
        found = await connection.fetch(self._sql["find_ids"], idents, [created_ms(ident) for ident in idents])
        status_of: dict[int, str] = {record["i"]: record["status"] for record in found}
        for place, (i, lock) in enumerate(zip(asked, locks, strict=True), 1):
            if place in status_of:
                outcomes[i] = Repeated(status_of[place])
            elif not lock["taken"]:
                outcomes[i] = KeyBusy()

    async def _store_keys(self, connection: PoolConnectionProxy, groups: Sequence[AcceptGroup]) -> None:
        kept = [(g, g.claim) for g in groups if g.claim is not None and g.response]
        if not kept:
            return
        await connection.execute(
            self._sql["store_keys"],
            [g.tenant_id for g, _ in kept],
            [g.environment for g, _ in kept],
            [c.route for _, c in kept],
            [c.key for _, c in kept],
            [c.fingerprint for _, c in kept],
            [CREATED for _ in kept],
            [g.response for g, _ in kept],
        )
