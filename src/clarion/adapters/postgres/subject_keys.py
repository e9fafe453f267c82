"""The users' wrapped data keys, in their own database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import asyncpg
import numpy as np

from clarion.adapters.postgres.copy_encoder import CopyLayout, encode_bytes, stream
from clarion.adapters.postgres.queries import load_queries

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

COPY_FROM: Final = 20
"""Keys for which it pays to COPY: a COPY that fails is a line in the server's log."""

_COPIED: Final = CopyLayout(fixed=(("user_id", ">i8"),), variable=("wrapped",))


class PostgresSubjectKeys:
    """`audience.ports.SubjectKeys` and `audience.rewrapping.StaleKeys` on the keys pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("subject_keys")

    async def fetch(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """Wrapped keys by user; see `SubjectKeys.fetch`."""
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["fetch_keys"], user_ids)
        return {record["user_id"]: record["wrapped"] for record in records}

    async def add(self, wrapped: Mapping[int, bytes]) -> set[int]:
        """Keep keys; see `SubjectKeys.add`. One COPY, and where one of them has a key, a slower statement."""
        user_ids = sorted(wrapped)
        values = [wrapped[user_id] for user_id in user_ids]
        async with self._pools.keys() as connection:
            if len(user_ids) >= COPY_FROM:
                encoded = _COPIED.encode({"user_id": np.array(user_ids, np.int64)}, (encode_bytes(values),))
                with suppress(asyncpg.UniqueViolationError):
                    await connection.copy_to_table(
                        "subject_keys", source=stream(encoded), columns=_COPIED.columns, format="binary"
                    )
                    return set(user_ids)
            records = await connection.fetch(self._sql["add_keys"], user_ids, values)
        return {record["user_id"] for record in records}

    async def page_stale(self, number: bytes, after: int, limit: int) -> dict[int, bytes]:
        """The next keys that another master key wrapped; see `StaleKeys.page_stale`."""
        async with self._pools.keys() as connection:
            records = await connection.fetch(self._sql["page_keys"], after, number, limit)
        return {record["user_id"]: record["wrapped"] for record in records}

    async def replace(self, old: Mapping[int, bytes], wrapped: Mapping[int, bytes]) -> None:
        """Keep keys wrapped in another way; see `StaleKeys.replace`."""
        user_ids = sorted(wrapped)
        async with self._pools.keys() as connection:
            await connection.execute(
                self._sql["replace_keys"],
                user_ids,
                [old[user_id] for user_id in user_ids],
                [wrapped[user_id] for user_id in user_ids],
            )

    async def destroy(self, user_ids: Sequence[int]) -> None:
        """Remove keys; see `SubjectKeys.destroy`."""
        async with self._pools.keys() as connection:
            await connection.execute(self._sql["destroy_keys"], user_ids)
