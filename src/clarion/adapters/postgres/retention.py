"""The end of what was kept for long enough: days of notifications, and contents that a tenant keeps for less."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.retention import Outcome
from clarion.kernel.errors import Invalid

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

CLEARED_AT_ONCE: Final = 1_000
RETIRE_TIMEOUT_S: Final = 900.0
"""Weighing a day reads all of its ids: 3 µs a row on a busy machine, so 30 million rows take 100 s."""


class Span(msgspec.Struct, frozen=True):
    """Messages of a category whose contents are to be cleared: accepted from `since_ms` to before `until_ms` (UTC)."""

    tenant_id: bytes
    category: str
    since_ms: int
    until_ms: int


class PostgresRetention:
    """On the pipeline pool. Several workers may do it at once: a day ends once."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("retention")

    async def old_days(self, keep_days: int) -> list[date]:
        """Days of notifications that began more than `keep_days` days before today (UTC), oldest first."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["old_days"], keep_days)
        return [record["day"] for record in records]

    async def retire(self, day: date) -> Outcome | None:
        """End a day: nothing that is open, promised or not counted is ever dropped. None: busy, ask again.

        One transaction; the lock for which everybody waits is asked for at most 0.2 s, and held while what is open
        moves. Raises Invalid on a day that is not over yet.
        """
        async with self._pools.pipeline() as connection:
            try:
                return await connection.fetchval(self._sql["retire_day"], day, timeout=RETIRE_TIMEOUT_S)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                return None
            except asyncpg.InvalidParameterValueError as error:
                raise Invalid("the day is not over", "day") from error

    async def shorter_times(self, keep_days: int) -> list[Span]:
        """What tenants keep for less than `keep_days` and has not been cleared yet."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["shorter_times"], keep_days)
        return [Span(*record.values()) for record in records]

    async def clear(self, span: Span) -> int:
        """Clear the contents of a span, some at a time; how many messages. What is not over keeps its contents."""
        where = span.tenant_id, span.category, span.since_ms, span.until_ms
        cleared = 0
        while True:
            async with self._pools.pipeline() as connection:
                found = await connection.fetchval(self._sql["clear_contents"], *where, CLEARED_AT_ONCE)
            cleared += found
            if found < CLEARED_AT_ONCE:
                break
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["note_cleared"], *where)
        return cleared

    async def drop_old_audit(self) -> int:
        """Remove entries of the audit log that are past their years; how many. What is left can still be verified."""
        async with self._pools.pipeline() as connection:
            return int(await connection.fetchval(self._sql["drop_old_audit"], timeout=RETIRE_TIMEOUT_S))
