"""Receipts: stored before the provider gets its 200, folded into notifications afterwards, never backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.errors import map_error
from clarion.adapters.postgres.folding import FoldReport, Waiting, fold, load_statements, merged
from clarion.adapters.postgres.queries import load_queries
from clarion.delivery.intake import Arrival
from clarion.delivery.model import Receipt
from clarion.delivery.suspects import describe_error
from clarion.kernel.errors import Transient

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

UNMATCHED_KEPT_MS: Final = 3_600_000
"""A receipt can beat the response that its delivery is recorded with; an hour later it is of no delivery of ours."""

MAX_RECEIPTS: Final = 4_000
"""Folded in one transaction, about: it takes a quarter of a second then."""

MAX_WAIT_S: Final = 600.0
"""Between two looks for an unknown delivery."""

HELD_MAX_S: Final = 5.0
"""Between two looks whether a worker has let go of a delivery."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Receipt]).decode


class _Batch(msgspec.Struct, frozen=True):
    """A row of the inbox. `received_ms` is UTC milliseconds."""

    tenant_id: bytes | None
    provider: str
    payload: bytes
    received_ms: int


class PostgresReceipts:
    """`ReceiptSink` and `delivery.intake.Inbox`, and the projector's half of it."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("receipts")
        self._park = load_queries("parking")["park"]
        self._statements = load_statements()

    async def put(self, provider: str, receipts: Sequence[Receipt]) -> None:
        """Keep receipts of our own, about whatever deliveries. Durable when this returns. Raises Transient."""
        await self.put_all([Arrival(b"", provider, receipts)])

    async def put_all(self, arrivals: Sequence[Arrival]) -> None:
        """Keep what arrived, by one statement; see `Inbox.put_all`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["store_receipts"],
                [arrival.tenant_id or None for arrival in arrivals],
                [arrival.provider for arrival in arrivals],
                [len(arrival.receipts) for arrival in arrivals],
                [_encode(list(arrival.receipts)) for arrival in arrivals],
            )

    async def waiting(self, tenant_id: bytes, provider: str, since_ms: int) -> list[Receipt]:
        """What an account has reported since then that is not folded (yet). Raises Transient."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["read_waiting_receipts"], tenant_id, provider, since_ms)
        return [receipt for row in rows for receipt in _decode(row["payload"])]

    async def project(self, limit: int, now_ms: int) -> FoldReport:
        """Fold up to `limit` stored batches into the notifications, with their events and consequences.

        One transaction: what is taken is folded, or stays; what cannot be folded even by itself is parked. Several
        projectors may run.
        """
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(self._sql["take_receipts"], limit, MAX_RECEIPTS)
            batches = [_Batch(r["tenant_id"], r["provider"], r["payload"], r["received_at"]) for r in records]
            if not batches:
                return FoldReport()
            report = await self._try_to_fold(connection, batches, now_ms)
            if isinstance(report, Exception):
                report = merged([await self._fold_alone(connection, batch, now_ms) for batch in batches])
        return msgspec.structs.replace(report, batches=len(batches))

    async def _fold_alone(self, connection: PoolConnectionProxy, batch: _Batch, now_ms: int) -> FoldReport:
        """Fold what can be folded of a batch, and park the rest."""
        report = await self._try_to_fold(connection, [batch], now_ms)
        if not isinstance(report, Exception):
            return report
        parts = _split(batch)
        if not parts:
            reason = describe_error(report)
            await connection.execute(self._park, "receipts", batch.provider, batch.payload, reason)
        return merged([await self._fold_alone(connection, part, now_ms) for part in parts])

    async def _try_to_fold(
        self, connection: PoolConnectionProxy, batches: Sequence[_Batch], now_ms: int
    ) -> FoldReport | Exception:
        """Fold batches in a savepoint; or what was wrong with them. Raises Transient."""
        try:
            async with connection.transaction():
                arrivals = [Arrival(b.tenant_id or b"", b.provider, _decode(b.payload)) for b in batches]
                report = await fold(connection, self._statements, arrivals, now_ms)
                for waiting in report.waiting:
                    await self._postpone(connection, batches[waiting.index], waiting, now_ms)
        except Exception as error:
            if isinstance(map_error(error), Transient):
                raise
            return error
        return report

    async def _postpone(
        self, connection: PoolConnectionProxy, batch: _Batch, waiting: Waiting, now_ms: int
    ) -> None:
        """Keep receipts for another while, ever longer; those of unknown deliveries for an hour in all."""
        age_ms = now_ms - batch.received_ms
        if waiting.is_known or age_ms <= UNMATCHED_KEPT_MS:
            longest_s = HELD_MAX_S if waiting.is_known else MAX_WAIT_S
            for_s = max(waiting.for_s, min(age_ms / 2000, longest_s))
            await connection.execute(
                self._sql["postpone_receipts"],
                batch.tenant_id,
                batch.provider,
                len(waiting.receipts),
                _encode(waiting.receipts),
                batch.received_ms,
                for_s,
            )


def _split(batch: _Batch) -> list[_Batch]:
    """A batch a receipt; empty where there is nothing to take apart."""
    try:
        receipts = _decode(batch.payload)
    except msgspec.MsgspecError:
        return []
    if len(receipts) <= 1:
        return []
    return [msgspec.structs.replace(batch, payload=_encode([receipt])) for receipt in receipts]
