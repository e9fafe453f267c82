"""Webhook calls that were taken: `replay:{tenant}:<hash>` is there for as long as the call could be played again."""

from __future__ import annotations

import hashlib
from typing import Final

from clarion.adapters.valkey.client import ValkeyClients, guarded

KEPT_MS: Final = 900_000
"""Longer than a signature is believed: five minutes either way, and clocks differ."""

TIMEOUT_S: Final = 0.2
"""A call waits for this. Without Valkey nothing is lost: a receipt that comes twice is known by what it says."""


class ValkeyReplays:
    """Which calls were taken. Noted after what they brought is durable, so that no call is lost by being noted."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients

    async def is_taken(self, tenant_id: bytes, call_key: str) -> bool:
        """Whether a call was noted. Raises Transient."""
        async with guarded(TIMEOUT_S):
            return bool(await self._clients.read.execute_command("EXISTS", _key(tenant_id, call_key)))

    async def note(self, tenant_id: bytes, call_key: str) -> None:
        """Note a call that was taken. Raises Transient."""
        async with guarded(TIMEOUT_S):
            await self._clients.write.execute_command("SET", _key(tenant_id, call_key), b"1", "PX", KEPT_MS)


def _key(tenant_id: bytes, call_key: str) -> bytes:
    digest = hashlib.blake2b(call_key.encode(), digest_size=16).hexdigest()
    return b"replay:{%s}:%s" % (tenant_id.hex().encode(), digest.encode())
