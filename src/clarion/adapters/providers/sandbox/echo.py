"""The receipts of a sandbox: put into the sink some time after the send, as a vendor's webhooks would come."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from clarion.adapters.providers.base import ReceiptSink
from clarion.delivery.model import Receipt
from clarion.kernel.clock import Clock
from clarion.kernel.errors import ClarionError

BATCH: Final = 1000
"""Receipts a `put`, at most."""

_AGAIN_S: Final = 1.0
"""A sink that is away is offered the same receipts again this much later, as vendors do."""


class Echo:
    """Says of each delivery, after a delay, what `kinds` lists. Holds what the sink has not taken yet."""

    def __init__(self, kinds: Sequence[str], delay_s: float, clock: Clock, sink: ReceiptSink) -> None:
        self._kinds = tuple(kinds)
        self._delay_s = delay_s
        self._clock = clock
        self._sink = sink
        self._waiting: deque[tuple[float, list[bytes]]] = deque()
        self._pump: asyncio.Task[None] | None = None

    def expect(self, delivery_ids: list[bytes]) -> None:
        """Report these deliveries when their time has come."""
        if not self._kinds or not delivery_ids:
            return
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + self._delay_s, delivery_ids))
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._run())

    async def close(self) -> None:
        """Report at once what is still waiting, as far as the sink takes it, and stop."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait({self._pump})
        left = [ident for _, delivery_ids in self._waiting for ident in delivery_ids]
        self._waiting.clear()
        with contextlib.suppress(ClarionError):
            await self._put(left)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            due, delivery_ids = self._waiting[0]
            if (wait_s := due - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            try:
                await self._put(delivery_ids)
            except ClarionError:
                await asyncio.sleep(_AGAIN_S)
            else:
                self._waiting.popleft()

    async def _put(self, delivery_ids: Sequence[bytes]) -> None:
        at_ms = self._clock.now_ms()
        # Built as they go: a broadcast's receipts never lie in memory all at once.
        receipts = (
            Receipt(f"{delivery_id.hex()}-{kind}", delivery_id, kind, at_ms)
            for delivery_id in delivery_ids
            for kind in self._kinds
        )
        while batch := list(islice(receipts, BATCH)):
            await self._sink.put(batch)
