"""One portion at a time through an account that has no room for two.

Consent is read right before the call. Where two portions shared the connections of an account, the second would wait
for the first after that: behind a slow server for so long that an opt-out came too late.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary

from clarion.delivery.circuit import CircuitKey
from clarion.delivery.model import Capabilities


class Gates:
    """The gates of one process, each there for as long as somebody is at it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[CircuitKey, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: CircuitKey, capabilities: Capabilities) -> AbstractAsyncContextManager[None]:
        """To be entered from reading consent to the end of the call. Open where the account takes whole batches."""
        if not capabilities.portion:
            return nullcontext()
        return self._locks.setdefault(key, asyncio.Lock())
