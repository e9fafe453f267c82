"""Packed feature records: `features:{bb}:<user id>` holds one `RECORD`, for 400 days after it was written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from clarion.adapters.valkey.client import ValkeyClients, guarded, load_script
from clarion.adapters.valkey.keyed import BUCKETS, KeyedCall, KeyedScript, run_keyed
from clarion.intelligence.features import RecordArray, pack, unpack

TTL_MS: Final = 400 * 24 * 3600 * 1000
GUARD_MS: Final = 10_000
"""How long a forgotten user is kept out: longer than a record that was read before can be on its way."""

TIMEOUT_S: Final = 1.0
_FORGOTTEN: Final = b""
_MARKER: Final = b"features:marker"
_AT_ONCE: Final = 1_000
"""Records of one call: a megabyte. The server runs nothing else meanwhile."""


class ValkeyFeatures:
    """`intelligence.features.FeatureStore` on Valkey."""

    def __init__(
        self, clients: ValkeyClients, *, guard_ms: int = GUARD_MS, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._clients = clients
        self._timeout_s = timeout_s
        self._write = KeyedScript(load_script("features_write"), (TTL_MS,), timeout_s)
        self._drop = KeyedScript(load_script("cards_drop"), (_FORGOTTEN, guard_ms))
        self._erase = KeyedScript(load_script("cards_erase"), (_FORGOTTEN, guard_ms))

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        """One MGET a thousand users (on a cluster: one a bucket, in one pipeline); see `FeatureStore.read`."""
        blobs: list[bytes | None] = []
        for start in range(0, len(user_ids), _AT_ONCE):
            blobs += await self._fetch(user_ids[start : start + _AT_ONCE])
        return unpack(user_ids, blobs)

    async def write(self, records: RecordArray) -> list[bool]:
        """One script call a thousand records (on a cluster: one a bucket); see `FeatureStore.write`."""
        user_ids: list[int] = records["user_id"].tolist()
        calls = [_place(user_id, blob) for user_id, blob in zip(user_ids, pack(records), strict=True)]
        kept: list[bool] = []
        for start in range(0, len(calls), _AT_ONCE):
            answers = await self._run(self._write, calls[start : start + _AT_ONCE])
            kept += [answer == 1 for answer in answers]
        return kept

    async def drop(self, user_ids: Sequence[int]) -> None:
        """See `FeatureStore.drop`. For some seconds nothing is kept of them."""
        await self._run(self._drop, [_place(user_id) for user_id in user_ids])

    async def holds_marker(self) -> bool:
        """Whether the store was filled since it last started empty. A cluster's: whether the marker's node was."""
        async with guarded(self._timeout_s):
            return bool(await self._clients.read.execute_command("EXISTS", _MARKER))

    async def mark(self) -> None:
        """Note that the store was filled."""
        async with guarded(self._timeout_s):
            await self._clients.write.execute_command("SET", _MARKER, b"1")

    async def erase(self, user_id: int) -> int:
        """Remove a record, then its tombstone when asked again; whether there was something. Raises Transient."""
        (found,) = await self._run(self._erase, [_place(user_id)])
        return found

    async def _run(self, script: KeyedScript, calls: Sequence[KeyedCall]) -> list[int]:
        return await run_keyed(self._clients.write, script, calls, is_cluster=self._clients.is_cluster)

    async def _fetch(self, user_ids: Sequence[int]) -> list[bytes | None]:
        places = [_place(user_id) for user_id in user_ids]
        keys = [place.key for place in places]
        async with guarded(self._timeout_s):
            if not self._clients.is_cluster:
                return await self._clients.read.execute_command("MGET", *keys)
            buckets: defaultdict[bytes | int, list[bytes]] = defaultdict(list)
            for place in places:
                buckets[place.tag].append(place.key)
            pipeline = self._clients.read.pipeline()
            for bucket in buckets.values():
                pipeline.execute_command("MGET", *bucket)
            found: dict[bytes, bytes | None] = {}
            for bucket, blobs in zip(buckets.values(), await pipeline.execute(), strict=True):
                found.update(zip(bucket, blobs, strict=True))
        return [found[key] for key in keys]


def _place(user_id: int, *args: bytes) -> KeyedCall:
    bucket = user_id % BUCKETS
    return KeyedCall(bucket, b"features:{%02d}:%d" % (bucket, user_id), args)
