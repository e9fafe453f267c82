"""The users' wrapped data keys, in their own database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class PostgresSubjectKeys:
    """`audience.ports.SubjectKeys` on the keys pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("subject_keys")

    async def fetch(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """Wrapped keys by user; see `SubjectKeys.fetch`."""
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["fetch_keys"], user_ids)
        return {record["user_id"]: record["wrapped"] for record in records}

    async def add(self, wrapped: Mapping[int, bytes]) -> set[int]:
        """Keep keys; see `SubjectKeys.add`."""
        user_ids = sorted(wrapped)
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["add_keys"], user_ids, [wrapped[u] for u in user_ids])
        return {record["user_id"] for record in records}

    async def destroy(self, user_ids: Sequence[int]) -> None:
        """Remove keys; see `SubjectKeys.destroy`."""
        async with self._pools.keys() as connection:
            await connection.execute(self._sql["destroy_keys"], user_ids)
