"""Webhook calls that were taken: `replay:{tenant}:<hash>` is there for as long as the call could be played again.

Asked and noted for many calls at once: those that come together ride along with one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from clarion.adapters.valkey.client import ValkeyClient, ValkeyClients, guarded
from clarion.kernel.batch import Coalescer

KEPT_MS: Final = 900_000
"""Longer than a signature is believed: five minutes either way, and clocks differ."""

TIMEOUT_S: Final = 0.2
"""A call waits for this. Without Valkey nothing is lost: a receipt that comes twice is known by what it says."""

MAX_BATCH: Final = 200


class ValkeyReplays:
    """Which calls were taken. Noted after what they brought is durable, so that no call is lost by being noted."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._questions: Coalescer[bytes, bool] = Coalescer(self._ask, limit=MAX_BATCH, concurrency=1)
        self._notes: Coalescer[bytes, None] = Coalescer(self._write, limit=MAX_BATCH, concurrency=1)

    async def is_taken(self, tenant_id: bytes, call_key: str) -> bool:
        """Whether a call was noted. Raises Transient."""
        return await self._questions.submit(_key(tenant_id, call_key))

    async def note(self, tenant_id: bytes, call_key: str) -> None:
        """Note a call that was taken. Raises Transient."""
        await self._notes.submit(_key(tenant_id, call_key))

    async def _ask(self, keys: list[bytes]) -> Sequence[bool]:
        answers = await _pipelined(self._clients.read, [("EXISTS", key) for key in keys])
        return [bool(answer) for answer in answers]

    async def _write(self, keys: list[bytes]) -> Sequence[None]:
        await _pipelined(self._clients.write, [("SET", key, b"1", "PX", KEPT_MS) for key in keys])
        return [None] * len(keys)


async def _pipelined(client: ValkeyClient, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    async with guarded(TIMEOUT_S):
        pipeline = client.pipeline()
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute()


def _key(tenant_id: bytes, call_key: str) -> bytes:
    digest = hashlib.blake2b(call_key.encode(), digest_size=16).hexdigest()
    return b"replay:{%s}:%s" % (tenant_id.hex().encode(), digest.encode())
