"""A queue together with its store and clock, so that one suite can ask the fake and the real one the same questions."""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

from clarion.adapters.valkey.client import Script, ValkeyClients, call_script, make_script
from clarion.adapters.valkey.queue import ValkeyQueue
from clarion.contracts.channels import CHANNELS
from clarion.testing.queue import InMemoryQueue, QueueStore

WorkQueue: TypeAlias = ValkeyQueue | InMemoryQueue

_SHIFT: Final[Script] = make_script("""
for _, structure in ipairs({'ml_send_queue:', 'inflight:'}) do
  local key = structure .. string.match(KEYS[1], '{.*}')
  for _, entry in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    redis.call('ZINCRBY', key, -ARGV[1], entry)
  end
end
""")
_WIPE: Final[Script] = make_script("""
for _, key in ipairs(redis.call('KEYS', '*' .. string.match(KEYS[1], '{.*}') .. '*')) do redis.call('DEL', key) end
""")


class QueueWorld(Protocol):
    """What a test can do to a queue from outside."""

    @property
    def queue(self) -> WorkQueue:
        """The queue."""
        ...

    @property
    def moved_ms(self) -> int:
        """How far `advance` has moved what is queued, instead of the clock: `due_ms` plus this can be compared."""
        ...

    def another(self) -> WorkQueue:
        """The same queue as another process sees it."""
        ...

    async def due_in(self, delay_ms: int) -> int:
        """The `due_ms` of an instant `delay_ms` from now."""
        ...

    async def advance(self, span_ms: int) -> None:
        """Let time pass for all that is in the queue."""
        ...

    async def wipe(self) -> None:
        """Lose all data."""
        ...


class FakeWorld:
    """The fake, whose clock is a number."""

    def __init__(self) -> None:
        self.moved_ms = 0
        self._now_ms = 1_800_000_000_000
        self.store = QueueStore()
        self.queue = self.another()

    def another(self) -> InMemoryQueue:
        """Another queue on the same store."""
        return InMemoryQueue(lambda: self._now_ms, self.store)

    async def due_in(self, delay_ms: int) -> int:
        """By the fake's clock."""
        return self._now_ms + delay_ms

    async def advance(self, span_ms: int) -> None:
        """Move the clock."""
        self._now_ms += span_ms

    async def wipe(self) -> None:
        """Forget everything."""
        self.store.wipe()


class ValkeyWorld:
    """A region of a real Valkey. Its clock cannot be moved, so `advance` moves all that is timed towards it."""

    def __init__(self, clients: ValkeyClients, region: str) -> None:
        self._clients = clients
        self._region = region
        self.moved_ms = 0
        self.queue = self.another()

    def another(self) -> ValkeyQueue:
        """Another queue on the same keys."""
        return ValkeyQueue(self._clients, self._region)

    async def due_in(self, delay_ms: int) -> int:
        """By the server's clock."""
        return await self._clients.server_time_ms() + delay_ms

    async def advance(self, span_ms: int) -> None:
        """Make every due time and lease deadline earlier."""
        await self._everywhere(_SHIFT, span_ms)
        self.moved_ms += span_ms

    async def wipe(self) -> None:
        """Delete the region's keys."""
        await self._everywhere(_WIPE, 0)

    async def _everywhere(self, script: Script, argument: int) -> None:
        for channel in CHANNELS:
            key = f"queue:{{{self._region}:{channel}:0}}"
            await call_script(self._clients.write, script, [key], [argument])
