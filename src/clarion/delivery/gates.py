"""One portion at a time through an account that has no room for two.

Consent is read right before the call. Where two portions shared the connections of an account, the second would wait
for the first after that: behind a slow server for so long that an opt-out came too late. So portions wait before it,
and an urgent one for no more than the portion that is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from clarion.delivery.circuit import CircuitKey
from clarion.delivery.model import Capabilities


class _Gate:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.urgent_waiting = 0

    async def enter(self, *, urgent: bool) -> None:
        if urgent:
            self.urgent_waiting += 1
            try:
                await self.lock.acquire()
            finally:
                self.urgent_waiting -= 1
            return
        await self.lock.acquire()
        while self.urgent_waiting:
            # Our turn came first, for turns are given in the order of asking: pass it on, and ask again.
            self.lock.release()
            await self.lock.acquire()


class Gates:
    """The gates of one process, each there for as long as somebody is at it."""

    def __init__(self) -> None:
        self._gates: WeakValueDictionary[CircuitKey, _Gate] = WeakValueDictionary()

    @asynccontextmanager
    async def through(
        self, key: CircuitKey, capabilities: Capabilities, *, urgent: bool
    ) -> AsyncGenerator[None]:
        """To be entered from reading consent to the end of the call. Open where the account takes whole batches."""
        if not capabilities.portion:
            yield
            return
        gate = self._gates.setdefault(key, _Gate())
        await gate.enter(urgent=urgent)
        try:
            yield
        finally:
            gate.lock.release()
