"""Secrets of tenants' webhooks: kept nowhere, for each follows from a key of the region, the tenant and a number.

    secret = "whsec_" + base64(HMAC-SHA256(region's key, tenant ‖ generation))

After a change both sign for a day, so that whoever checks has the time to take the new one.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final, Protocol

import msgspec

from clarion.kernel.clock import Clock

PREFIX: Final = "whsec_"
OVERLAP_MS: Final = 86_400_000
"""For so long the secret before signs too."""

KEPT_S: Final = 30.0
"""How long a process goes by what it read: then a change counts everywhere."""

CACHED_TENANTS: Final = 10_000


class Generation(msgspec.Struct, frozen=True):
    """Which secret signs. `replaced_ms`: since when (UTC); 0: it is the first."""

    number: int = 1
    replaced_ms: int = 0


class Generations(Protocol):
    """Which generation each tenant is in."""

    async def read(self, tenant_id: bytes) -> Generation:
        """That of a tenant. Raises Transient."""
        ...

    async def advance(self, tenant_id: bytes) -> Generation:
        """Begin the next. Raises Transient."""
        ...


class WebhookSecrets:
    """`key`: 32 bytes, of the region, for nothing else."""

    def __init__(self, key: bytes, generations: Generations, clock: Clock) -> None:
        self._key = key
        self._generations = generations
        self._clock = clock
        self._known: dict[bytes, tuple[float, Generation]] = {}

    def derive(self, tenant_id: bytes, generation: int) -> str:
        """The secret of a generation, as Standard Webhooks writes it."""
        clear = tenant_id + generation.to_bytes(4, "big")
        return PREFIX + base64.b64encode(hmac.digest(self._key, clear, "sha256")).decode()

    async def secrets(self, tenant_id: bytes) -> list[str]:
        """What signs now, the newest first. Raises Transient."""
        now_s = self._clock.monotonic()
        read_s, generation = self._known.get(tenant_id, (-KEPT_S, Generation()))
        if now_s - read_s >= KEPT_S:
            generation = await self._generations.read(tenant_id)
            if len(self._known) >= CACHED_TENANTS:
                self._known.clear()
            self._known[tenant_id] = (now_s, generation)
        is_new = self._clock.now_ms() - generation.replaced_ms < OVERLAP_MS
        numbers = [generation.number]
        if generation.number > 1 and is_new:
            numbers.append(generation.number - 1)
        return [self.derive(tenant_id, number) for number in numbers]

    async def replace(self, tenant_id: bytes) -> Generation:
        """Sign with a new secret from now on. Other processes follow within KEPT_S seconds. Raises Transient."""
        self._known.pop(tenant_id, None)
        return await self._generations.advance(tenant_id)

    async def current(self, tenant_id: bytes) -> Generation:
        """Which secret signs, as the store has it. Raises Transient."""
        return await self._generations.read(tenant_id)
