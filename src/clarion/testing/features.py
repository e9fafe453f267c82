"""The store of feature records in memory, for tests of what stands on it. One conformance suite binds both."""

from __future__ import annotations

from collections.abc import Sequence

from clarion.adapters.valkey.features import GUARD_MS
from clarion.intelligence.features import RecordArray, empty_records, pack, unpack
from clarion.kernel.clock import Clock


class InMemoryFeatures:
    """`intelligence.features.FeatureStore`. Records stay until they are dropped."""

    def __init__(self, clock: Clock, guard_ms: int = GUARD_MS) -> None:
        self._clock = clock
        self._guard_ms = guard_ms
        self._blobs: dict[int, bytes] = {}
        self._kept_out_until: dict[int, float] = {}

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        """A record per user, in order; an empty one where there is none."""
        if not user_ids:
            return empty_records([])
        return unpack(user_ids, [self._blobs.get(user_id) for user_id in user_ids])

    async def write(self, records: RecordArray) -> list[bool]:
        """Keep the records that are one ahead of what is there, or where nothing is."""
        now = self._clock.monotonic()
        kept: list[bool] = []
        for record, blob in zip(records, pack(records), strict=True):
            user_id = int(record["user_id"])
            (there,) = await self.read([user_id])
            is_next = user_id not in self._blobs or int(there["sequence"]) + 1 == int(record["sequence"])
            is_free = is_next and now >= self._kept_out_until.get(user_id, now)
            if is_free:
                self._blobs[user_id] = blob
            kept.append(is_free)
        return kept

    async def drop(self, user_ids: Sequence[int]) -> None:
        """Forget these users, and keep nothing of theirs for a while."""
        until = self._clock.monotonic() + self._guard_ms / 1000
        for user_id in user_ids:
            self._blobs.pop(user_id, None)
            self._kept_out_until[user_id] = until
