"""The chunks of running broadcasts, as the worker takes, settles and cancels them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.notifications import cancel_taken
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.work import WorkItem
from clarion.delivery.state_machine import progress_order
from clarion.orchestration.broadcasts import Chunk, Message
from clarion.orchestration.fan_out import Forecast
from clarion.orchestration.model import ChunkProgress, ChunkRef

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

WINDOW: Final = 10_000
"""Members of one broadcast that are accepted and due, and not sent yet: more wait in the snapshot, not in the queue."""

_encode: Final = msgspec.json.Encoder().encode
_message: Final = msgspec.json.Decoder(Message).decode


class CancelledChunk(msgspec.Struct, frozen=True):
    """What was taken back of a chunk, for the queue to forget. `number`: after which to go on."""

    number: int
    items: Sequence[WorkItem]


class PostgresBroadcastChunks:
    """On the pipeline pool. Several workers may use it: each chunk moves on once."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("broadcast_chunks")
        self._steps = load_queries("broadcasts")

    async def stages(self) -> frozenset[str]:
        """The stages that some broadcast is in and that a worker has something to do for."""
        async with self._pools.pipeline() as connection:
            return frozenset(record["stage"] for record in await connection.fetch(self._sql["stages"]))

    async def next(self, window: int = WINDOW) -> Chunk | None:
        """A chunk of any broadcast that may be accepted (or examined) now, held by nobody; None where there is none."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["next_chunk"], window)
        if record is None:
            return None
        return Chunk(
            ref=ChunkRef(record["broadcast_id"], record["chunk"]),
            tenant_id=record["tenant_id"],
            environment=record["environment"],
            rehearsal=record["rehearsal"],
            message=_message(record["message"]),
            due_ms=record["due_at"],
            names=record["names"],
        )

    async def settle_rehearsed(self, progress: ChunkProgress, forecast: Forecast) -> bool:
        """Record what a chunk would come to; see `RehearsalStore.settle_rehearsed`."""
        async with self._pools.pipeline() as connection:
            settled = await connection.fetchval(
                self._sql["settle_rehearsed"],
                progress.ref.broadcast_id,
                progress.ref.number,
                _encode(forecast),
                sum(progress.refused.values()),
                _encode(progress.refused),
                _encode(progress.rules),
            )
        return bool(settled)

    async def refuse(self, ref: ChunkRef, reason: str) -> None:
        """Give up a chunk that can never be accepted: its members are refused for this reason, a word."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["refuse_chunk"], ref.broadcast_id, ref.number, reason)

    async def look(self, limit: int) -> int:
        """Look at up to `limit` chunks whose time it is, settle those that are over, and end what is complete.

        How many were looked at.
        """
        async with self._pools.pipeline() as connection:
            looked_at = await connection.fetch(self._sql["look_at_chunks"], limit, progress_order())
            if len(looked_at) < limit:
                await connection.execute(self._sql["complete_broadcasts"])
        return len(looked_at)

    async def take_cancelling(self) -> tuple[bytes, bytes] | None:
        """A broadcast (and its tenant) that is to be cancelled; what was not accepted is dropped from now on."""
        async with self._pools.pipeline() as connection, connection.transaction():
            record = await connection.fetchrow(self._steps["take_cancelling"])
            if record is None:
                return None
            await connection.execute(self._sql["drop_ready"], record["broadcast_id"])
            await connection.execute(self._sql["cancel_chains"], record["broadcast_id"])
            await connection.execute(self._steps["drop_list"], record["broadcast_id"])
        return record["broadcast_id"], record["tenant_id"]

    async def cancel_next(
        self, broadcast_id: bytes, tenant_id: bytes, after: int, now_ms: int
    ) -> CancelledChunk | None:
        """Take back what waits of the next accepted chunk after number `after`; None where there is none."""
        async with self._pools.pipeline() as connection, connection.transaction():
            chunk = await connection.fetchrow(self._sql["accepted_chunks"], broadcast_id, after, 1)
            if chunk is None:
                return None
            taken = await connection.fetch(
                self._sql["close_ready_range"], tenant_id, chunk["first_id"], chunk["last_id"]
            )
            items = await cancel_taken(connection, tenant_id, taken, now_ms)
        return CancelledChunk(chunk["chunk"], items)

    async def end_cancelling(self, broadcast_id: bytes) -> None:
        """Say that nothing of a cancelled broadcast waits any more."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._steps["end_cancelling"], broadcast_id)
