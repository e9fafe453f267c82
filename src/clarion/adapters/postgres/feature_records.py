"""Feature records in the regional database: the archive behind the store, users' homes, and what happened long ago."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.intelligence.features import RecordArray, SignKind, Signs, pack, unpack
from clarion.intelligence.features.hear import NO_CHANNEL, name_sign
from clarion.intelligence.features.ports import Portrait
from clarion.intelligence.features.signs import as_signs
from clarion.intelligence.features.zones import Clocks, Home, at_home
from clarion.intelligence.serving.ports import CLASSES

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

_CLASS_INDEX: Final[dict[str | None, int]] = {name: place for place, name in enumerate(CLASSES)}

KEPT_DAYS: Final = 400
"""As long as the store keeps a record that nothing is added to."""

DROPPED_AT_ONCE: Final = 5_000
PORTION: Final = 50_000
"""Signs that a history tells at once: 3 MB."""

TELL_TIMEOUT_S: Final = 900.0
"""Sorting a year of a large tenant comes before its first portion."""


class PostgresFeatures:
    """`intelligence.features.FeatureArchive` and `Homes`, on the pipeline pool: a batch is of users of all tenants."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("feature_records")

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        """A record per user; see `FeatureArchive.read`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["read_records"], user_ids)
        blobs: dict[int, bytes] = {row["user_id"]: row["record"] for row in rows}
        return unpack(user_ids, [blobs.get(user_id) for user_id in user_ids])

    async def page(self, after: int, most: int) -> RecordArray:
        """Some records, of users after a number, in the order of their numbers; none: those were the last."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["page_records"], after, most)
        return unpack([row["user_id"] for row in rows], [row["record"] for row in rows])

    async def keep(self, tenant_id: bytes, records: RecordArray, portraits: Sequence[Portrait]) -> None:
        """Keep records and portraits, in one statement; see `FeatureArchive.keep`."""
        if not len(records):
            return
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["keep_records"],
                tenant_id,
                records["user_id"].tolist(),
                records["sequence"].tolist(),
                pack(records),
                records["as_of_ms"].tolist(),
                [portrait.ml_features for portrait in portraits],
                [portrait.engagement_scores for portrait in portraits],
                [portrait.optimal_send_times for portrait in portraits],
                [portrait.segment_memberships for portrait in portraits],
            )

    async def unpainted(self, before_ms: int, most: int) -> dict[bytes, list[int]]:
        """Users painted longest ago; see `FeatureArchive.unpainted`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["unpainted"], before_ms, most)
        return _by_tenant(rows)

    async def find(self, user_ids: Sequence[int]) -> dict[int, Home]:
        """Where users are at home; see `Homes.find`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["find_homes"], user_ids)
        return {row[0]: Home(*row[1:]) for row in map(tuple, rows)}

    async def unrecorded(
        self, tenant_id: bytes | None, after: int, most: int, *, everybody: bool
    ) -> dict[bytes, list[int]]:
        """Users of a tenant (None: of any) after a number who have no record, or all after it; by tenant."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["unrecorded"], tenant_id, after, most, everybody)
        return _by_tenant(rows)

    async def drop_old(self) -> bool:
        """Delete some records of users who were silent for KEPT_DAYS; whether there may be more."""
        async with self._pools.pipeline() as connection:
            done = await connection.execute(self._sql["drop_old_records"], KEPT_DAYS, DROPPED_AT_ONCE)
        return done == f"DELETE {DROPPED_AT_ONCE}"


class PostgresHistory:
    """`intelligence.features.history.History`: messages as their rows tell of them, and the last 30 days' events.

    Rows hold the first engagement with a message and not which it was: of an SMS it is a click, of others an open.
    """

    def __init__(self, pools: Pools, clocks: Clocks) -> None:
        self._pools = pools
        self._clocks = clocks
        self._sql = load_queries("feature_records")

    async def signs(self, tenant_id: bytes, from_ms: int, to_ms: int) -> AsyncIterator[Signs]:
        """What happened, in the order of time; see `History.signs`."""
        query = self._sql["tell_history"]
        async with self._pools.pipeline() as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(query, tenant_id, from_ms, to_ms, timeout=TELL_TIMEOUT_S)
            while rows := await cursor.fetch(PORTION, timeout=TELL_TIMEOUT_S):
                yield self._signs(rows)

    async def of_users(self, user_ids: Sequence[int], to_ms: int) -> Signs:
        """All that is known of some users; see `History.of_users`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["tell_of_users"], user_ids, to_ms, timeout=TELL_TIMEOUT_S)
        return self._signs(rows)

    def _signs(self, rows: Iterable[asyncpg.Record]) -> Signs:
        told: list[tuple[int, int, int, int, int]] = []
        classes: list[int] = []
        homes: dict[int, Home] = {}
        for user_id, kind, channel, at_ms, ident, class_, *home in map(tuple, rows):
            classes.append(_CLASS_INDEX.get(class_, -1))
            told.append(
                (
                    user_id,
                    kind,
                    CHANNEL_INDEX.get(channel, NO_CHANNEL),
                    at_ms,
                    name_sign(ident, SignKind(kind)),
                )
            )
            if user_id not in homes:
                homes[user_id] = Home(*home)
        signs = replace(as_signs(told), class_=np.array(classes, np.int64))
        return at_home(signs, homes, self._clocks)


def _by_tenant(rows: Iterable[asyncpg.Record]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for row in rows:
        found.setdefault(row["tenant_id"], []).append(row["user_id"])
    return found
