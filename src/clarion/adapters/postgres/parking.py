"""Where messages between our own parts go that cannot be worked on: aside, with the reason, in nobody's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class ParkedMessage(msgspec.Struct, frozen=True):
    """A message that is parked. `origin`: the outbox row's topic, or the receipts' provider.

    `parked_ms` is UTC milliseconds. `payload` is empty in lists.
    """

    parked_id: int
    source: str
    origin: str
    size: int
    reason: str
    parked_ms: int
    payload: bytes = b""


class PostgresParking:
    """Parked messages, for the operator. They belong to no tenant: their bytes are what is wrong."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("parking")

    async def count(self) -> dict[str, int]:
        """How many messages are parked, by each source."""
        async with self._pools.pipeline() as connection:
            return {r["source"]: r["messages"] for r in await connection.fetch(self._sql["count_parked"])}

    async def list(self, after: int, limit: int) -> list[ParkedMessage]:
        """Messages with ids above `after`, in their order."""
        async with self._pools.pipeline() as connection:
            return [_parked(r) for r in await connection.fetch(self._sql["list_parked"], after, limit)]

    async def read(self, parked_id: int) -> ParkedMessage | None:
        """One message with its bytes."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["read_parked"], parked_id)
        return None if record is None else _parked(record, record["payload"])

    async def put_back(self, ids: Sequence[int]) -> list[int]:
        """Return messages to where they came from, all in one transaction; which there were."""
        async with self._pools.pipeline() as connection, connection.transaction():
            taken = await connection.fetch(self._sql["take_parked"], ids)
            for record in taken:
                query = "return_to_outbox" if record["source"] == "outbox" else "return_to_inbox"
                await connection.execute(self._sql[query], record["origin"], record["payload"])
        return [record["parked_id"] for record in taken]

    async def drop(self, ids: Sequence[int]) -> list[int]:
        """Forget messages; which there were."""
        async with self._pools.pipeline() as connection:
            return [r["parked_id"] for r in await connection.fetch(self._sql["drop_parked"], ids)]


def _parked(record: asyncpg.Record, payload: bytes = b"") -> ParkedMessage:
    return ParkedMessage(
        record["parked_id"],
        record["source"],
        record["origin"],
        record["bytes"],
        record["reason"],
        record["parked_at"],
        payload,
    )
