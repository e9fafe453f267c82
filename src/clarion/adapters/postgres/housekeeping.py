"""What keeps the regional store going: partitions ahead of time, and old keys away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class Housekeeping:
    """Chores of the sweeper. Each may run at any time, and several times."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("deliveries")
        self._letters = (
            load_queries("suspects")["drop_old_suspects"],
            load_queries("dead_letters")["drop_old_letters"],
        )
        self._chains = load_queries("fallbacks")["drop_old_chains"]

    async def ensure_partitions(self) -> int:
        """Make the day partitions of the coming three days; how many were missing."""
        async with self._pools.pipeline() as connection:
            return int(await connection.fetchval(self._sql["ensure_partitions"]))

    async def drop_old_keys(self) -> None:
        """Delete idempotency keys that no repeat can meet any more, and providers' ids that no receipt will name."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["drop_old_keys"])
            await connection.execute(self._sql["drop_old_message_ids"])

    async def drop_old_chains(self) -> None:
        """Delete old fallback chains that are over."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._chains)

    async def drop_old_letters(self) -> None:
        """Delete dead letters that nobody can redrive any more, and suspicions that have passed."""
        async with self._pools.pipeline() as connection:
            for statement in self._letters:
                await connection.execute(statement)
