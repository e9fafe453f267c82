"""How far the rounds of journeys that begin of themselves are, on the global store."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import asyncpg

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.journeys.entries import Cursor
from clarion.journeys.ports import JourneyRecord


class GlobalRounds:
    """`journeys.entries.RoundStore`, of one region. A cursor is three rows: `done:`, `round:` and `after:` its name."""

    def __init__(self, pool: asyncpg.Pool, region: str) -> None:
        self._pool = pool
        self._region = region
        self._sql = load_queries("journey_rounds")

    async def journeys(self) -> Sequence[JourneyRecord]:
        """Journeys that take users in; see `RoundStore.journeys`."""
        records = await with_retries(lambda: self._pool.fetch(self._sql["open_journeys"], self._region))
        return [
            JourneyRecord(journey_id.bytes, tenant_id.bytes, *rest)
            for journey_id, tenant_id, *rest in records
        ]

    async def cursors(self, keys: Sequence[tuple[bytes, str]]) -> Mapping[tuple[bytes, str], Cursor]:
        """Cursors by (journey, name); see `RoundStore.cursors`."""
        if not keys:
            return {}
        idents = [uuid.UUID(bytes=ident) for ident, _ in keys]
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["read_cursors"], self._region, idents)
        )
        kept = {(record["journey_id"].bytes, record["name"]): int(record["at_ms"]) for record in records}
        return {
            (ident, name): Cursor(
                kept[ident, f"done:{name}"], kept[ident, f"round:{name}"], kept[ident, f"after:{name}"]
            )
            for ident, name in keys
            if (ident, f"done:{name}") in kept
        }

    async def save(self, journey_id: bytes, name: str, cursor: Cursor) -> None:
        """Keep a cursor; see `RoundStore.save`."""
        names = [f"done:{name}", f"round:{name}", f"after:{name}"]
        values = [cursor.done_ms, cursor.round_ms, cursor.after]
        ident = uuid.UUID(bytes=journey_id)
        await with_retries(
            lambda: self._pool.execute(self._sql["save_cursors"], ident, self._region, names, values)
        )

    async def lease(self, journey_id: bytes, now_ms: int, until_ms: int) -> bool:
        """Work on a journey alone; see `RoundStore.lease`."""
        ident = uuid.UUID(bytes=journey_id)
        found = await with_retries(
            lambda: self._pool.fetchval(self._sql["lease_rounds"], ident, self._region, now_ms, until_ms)
        )
        return found is not None
