"""Throttles of journeys: `turn:{bb}:<hash>` holds who has a turn, and when. It goes when the last of them is past."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from clarion.adapters.valkey.client import ValkeyClients, load_script
from clarion.adapters.valkey.keyed import BUCKETS, KeyedCall, KeyedScript, run_keyed
from clarion.journeys.outside import TurnAsk

_NAME_BYTES: Final = 16


class ValkeyTurns:
    """`journeys.outside.Turns` on Valkey: one script call a batch (on a cluster: one a bucket).

    After a loss of Valkey, turns that were taken are not known any more: more may pass in that span.
    """

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._take = KeyedScript(load_script("turns_take"))

    async def take(self, asks: Sequence[TurnAsk]) -> list[int]:
        """In how many ms each may pass; see `Turns.take`."""
        answers = await run_keyed(
            self._clients.write,
            self._take,
            [_call(ask) for ask in asks],
            is_cluster=self._clients.is_cluster,
        )
        return [int(answer) for answer in answers]


def _call(ask: TurnAsk) -> KeyedCall:
    # A hash: keys of a size, which name nobody.
    name = hashlib.blake2b(ask.key, digest_size=_NAME_BYTES).digest()
    bucket = name[0] % BUCKETS
    key = b"turn:{%02d}:%b" % (bucket, name.hex().encode())
    return KeyedCall(bucket, key, (ask.ident, ask.limit, ask.per_ms, int(ask.reserves)))
