"""A region's users as segments ask for them.

On the pipeline's pool, with the tenant as the first parameter of every statement: under row-level security the index of
traits would not be used, because array operators are not leakproof.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.segment_sql import Statement
from clarion.audience.model import Member
from clarion.audience.segments.conditions import Bounds, Condition
from clarion.audience.segments.ports import Candidate, Tally

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools


class PostgresPopulation:
    """`audience.segments.ports.Population`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("population")

    async def count(self, tenant_id: bytes, condition: Condition) -> int:
        """How many meet the condition; see `Population.count`."""
        statement = Statement(tenant_id)
        upper = statement.condition(condition)
        text = statement.finish(self._sql["count_users"], upper=upper)
        async with self._asking() as connection:
            return int(await connection.fetchval(text, *statement.values))

    async def members(
        self, tenant_id: bytes, condition: Condition, after_user_id: int, limit: int
    ) -> list[Member]:
        """The next who meet the condition; see `Population.members`."""
        statement = Statement(tenant_id)
        upper = statement.condition(condition)
        after, most = statement.value(after_user_id), statement.value(limit)
        text = statement.finish(self._sql["page_members"], upper=upper, after=after, limit=most)
        async with self._asking() as connection:
            records = await connection.fetch(text, *statement.values)
        return [Member(*record.values()) for record in records]

    async def candidates(
        self, tenant_id: bytes, bounds: Bounds, after_user_id: int, limit: int
    ) -> list[Candidate]:
        """The next who may be in; see `Population.candidates`."""
        statement = Statement(tenant_id)
        upper, lower = statement.condition(bounds.upper), statement.condition(bounds.lower)
        after, most = statement.value(after_user_id), statement.value(limit)
        text = statement.finish(
            self._sql["page_candidates"], upper=upper, lower=lower, after=after, limit=most
        )
        async with self._asking() as connection:
            records = await connection.fetch(text, *statement.values)
        return [Candidate(*record.values()) for record in records]

    async def candidates_among(
        self, tenant_id: bytes, bounds: Bounds, user_ids: Sequence[int]
    ) -> list[Candidate]:
        """Those of these who may be in; see `Population.candidates_among`."""
        statement = Statement(tenant_id)
        upper, lower = statement.condition(bounds.upper), statement.condition(bounds.lower)
        users = statement.value(list(user_ids))
        text = statement.finish(self._sql["candidates_among"], upper=upper, lower=lower, users=users)
        async with self._asking() as connection:
            records = await connection.fetch(text, *statement.values)
        return [Candidate(*record.values()) for record in records]

    async def tallies(self, tenant_id: bytes, user_ids: Sequence[int], events: Sequence[str]) -> list[Tally]:
        """What these users did of these; see `Population.tallies`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_tallies"], tenant_id, user_ids, events)
        return [Tally(*record.values()) for record in records]

    async def recent(
        self, tenant_id: bytes, user_ids: Sequence[int], event: str, since_ms: int
    ) -> dict[int, int]:
        """How often these users did something since an instant; see `Population.recent`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_recent"], tenant_id, user_ids, event, since_ms)
        return {record["user_id"]: record["count"] for record in records}

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[PoolConnectionProxy]:
        async with self._pools.pipeline() as connection, connection.transaction(readonly=True):
            await connection.execute(self._sql["begin_asking"])
            yield connection
