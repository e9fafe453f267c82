"""The ledger of erasures on the global store, which no backup of a region brings back to an earlier state."""

from __future__ import annotations

import uuid

import asyncpg

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.compliance.erasure import LedgerEntry


class GlobalErasureLedger:
    """`compliance.erasure.ErasureLedger`: one region's entries."""

    def __init__(self, pool: asyncpg.Pool, region: str) -> None:
        self._pool = pool
        self._region = region
        self._sql = load_queries("erasure_ledger")

    async def note(self, entry: LedgerEntry) -> None:
        """Keep an entry; see `ErasureLedger.note`."""
        values = (
            uuid.UUID(bytes=entry.erasure_id),
            uuid.UUID(bytes=entry.tenant_id),
            self._region,
            entry.subject,
            list(entry.user_ids),
            entry.requested_ms,
        )
        await with_retries(lambda: self._pool.execute(self._sql["note_erasure"], *values))

    async def page(self, after: bytes, limit: int) -> list[LedgerEntry]:
        """This region's entries by id; see `ErasureLedger.page`."""
        first = uuid.UUID(bytes=after)
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["page_erasures"], self._region, first, limit)
        )
        return [
            LedgerEntry(
                record["erasure_id"].bytes,
                record["tenant_id"].bytes,
                record["subject"],
                tuple(record["user_ids"]),
                record["requested_ms"],
            )
            for record in records
        ]
