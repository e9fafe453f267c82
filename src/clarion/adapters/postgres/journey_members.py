"""Who was in a segment when a journey last looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class PostgresJourneyMembers:
    """`journeys.entries.MembershipStore`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("journey_members")

    async def strangers(
        self, tenant_id: bytes, watch: tuple[bytes, str], user_ids: Sequence[int]
    ) -> set[int]:
        """Who was not there; see `MembershipStore.strangers`."""
        del tenant_id  # a journey's number is nobody else's
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["find_strangers"], *watch, user_ids)
        return {record["user_id"] for record in records}

    async def keep(
        self, tenant_id: bytes, watch: tuple[bytes, str], span: tuple[int, int], user_ids: Sequence[int]
    ) -> None:
        """Note who is there; see `MembershipStore.keep`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["drop_others"], *watch, *span, user_ids)
            if user_ids:
                await connection.execute(self._sql["add_members"], *watch, user_ids, tenant_id)
