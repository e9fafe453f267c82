"""Packed cards: `user:{bb}:<tenant>:<external id>` holds 8 bytes of version (big-endian) and a Card in MessagePack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from clarion.adapters.valkey.client import ValkeyClients, guarded, load_script
from clarion.adapters.valkey.keyed import KeyedCall, KeyedScript, bucket_of, run_keyed
from clarion.audience.model import Card

TTL_MS: Final = 7 * 24 * 3600 * 1000
GUARD_MS: Final = 10_000
"""How long a dropped card is kept out: longer than a card that was read before can be on its way."""

TIMEOUT_S: Final = 0.2
"""A request waits for reads and puts; Postgres has the cards too. A drop may take its time."""

_VERSION_BYTES: Final = 8
_TOMBSTONE: Final = b"\xff" * _VERSION_BYTES

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Card)


class ValkeyCards:
    """`orchestration.ports.CardCache` on Valkey. A card lives for 7 days after it was put."""

    def __init__(
        self, clients: ValkeyClients, *, guard_ms: int = GUARD_MS, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._clients = clients
        self._timeout_s = timeout_s
        self._put = KeyedScript(load_script("cards_put"), (TTL_MS,), timeout_s)
        self._drop = KeyedScript(load_script("cards_drop"), (_TOMBSTONE, guard_ms))
        self._erase = KeyedScript(load_script("cards_erase"), (_TOMBSTONE, guard_ms))
        self._unlink = KeyedScript(load_script("unlink"), timeout_s=timeout_s)

    async def read(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """One MGET (on a cluster: one a bucket, in one pipeline). Bytes that are no card are removed: a miss.

        They have to go, because a card of the same version could not replace them.
        """
        places = [_place(tenant_id, external_id) for external_id in external_ids]
        blobs = await self._fetch(places)
        cards: list[Card | None] = []
        broken: list[KeyedCall] = []
        for place, blob in zip(places, blobs, strict=True):
            card = None
            if blob is not None and blob != _TOMBSTONE:
                card = _unpack(blob)
                if card is None:
                    broken.append(place)
            cards.append(card)
        await self._run(self._unlink, broken)
        return cards

    async def put(self, tenant_id: bytes, cards: Sequence[Card]) -> None:
        """One script call (on a cluster: one a bucket)."""
        await self._run(self._put, [_place(tenant_id, card.external_id, _pack(card)) for card in cards])

    async def drop(self, tenant_id: bytes, external_ids: Sequence[str]) -> None:
        """One script call (on a cluster: one a bucket)."""
        await self._run(self._drop, [_place(tenant_id, external_id) for external_id in external_ids])

    async def erase(self, tenant_id: bytes, external_id: str) -> int:
        """Remove a card, then its tombstone when asked again; 1 where there was something, else 0. Raises Transient."""
        (found,) = await run_keyed(
            self._clients.write,
            self._erase,
            [_place(tenant_id, external_id)],
            is_cluster=self._clients.is_cluster,
        )
        return int(found)

    async def _run(self, script: KeyedScript, calls: Sequence[KeyedCall]) -> None:
        await run_keyed(self._clients.write, script, calls, is_cluster=self._clients.is_cluster)

    async def _fetch(self, places: Sequence[KeyedCall]) -> Iterable[bytes | None]:
        if not places:
            return []
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


def _place(tenant_id: bytes, external_id: str, *args: bytes) -> KeyedCall:
    # A lone surrogate has no UTF-8: such an id was never accepted, and must not fail the others' reads.
    name = external_id.encode("utf-8", "surrogatepass")
    bucket = bucket_of(tenant_id, name)
    return KeyedCall(bucket, b"user:{%02d}:%s:%s" % (bucket, tenant_id.hex().encode(), name), args)


def _pack(card: Card) -> bytes:
    return card.version.to_bytes(_VERSION_BYTES, "big") + _encoder.encode(card)


def _unpack(blob: bytes) -> Card | None:
    try:
        return _decoder.decode(memoryview(blob)[_VERSION_BYTES:])
    except msgspec.DecodeError:
        return None
