"""The receipts of a sandbox: put into the sink some time after the send, as a vendor's webhooks would come."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import insort
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from clarion.adapters.providers.base import ReceiptSink
from clarion.delivery.model import Receipt
from clarion.kernel.clock import Clock
from clarion.kernel.errors import ClarionError

BATCH: Final = 1000
"""Receipts a `put`, at most."""

_AGAIN_S: Final = 1.0
"""A sink that is away is offered the same receipts again this much later, as vendors do."""


class _Due(msgspec.Struct, eq=False):
    """Deliveries to report at `at_s`, on the loop's clock."""

    at_s: float
    delivery_ids: Sequence[bytes]
    kinds: Sequence[str]


def _time_of(due: _Due) -> float:
    return due.at_s


class Echo:
    """Says of each delivery, after a delay, what was asked for. Holds what the sink has not taken yet."""

    def __init__(self, clock: Clock, sink: ReceiptSink) -> None:
        self._clock = clock
        self._sink = sink
        self._waiting: deque[_Due] = deque()
        self._sooner = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    def expect(self, delivery_ids: list[bytes], kinds: Sequence[str], delay_s: float) -> None:
        """Report these deliveries when their time has come, one receipt a kind."""
        if not kinds or not delivery_ids:
            return
        loop = asyncio.get_running_loop()
        due = _Due(loop.time() + delay_s, delivery_ids, kinds)
        insort(self._waiting, due, key=_time_of)
        if self._waiting[0] is due:
            self._sooner.set()
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._run())

    async def close(self) -> None:
        """Report at once what is still waiting, as far as the sink takes it, and stop."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait({self._pump})
        left = list(self._waiting)
        self._waiting.clear()
        with contextlib.suppress(ClarionError):
            for due in left:
                await self._put(due)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            due = self._waiting[0]
            if (wait_s := due.at_s - loop.time()) > 0:
                await self._sooner_or_in(wait_s)
                continue
            try:
                await self._put(due)
            except ClarionError:
                await asyncio.sleep(_AGAIN_S)
            else:
                self._waiting.remove(due)

    async def _sooner_or_in(self, wait_s: float) -> None:
        """Wait, but not past what a script with a shorter delay puts first."""
        self._sooner.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._sooner.wait()

    async def _put(self, due: _Due) -> None:
        at_ms = self._clock.now_ms()
        # Built as they go: a broadcast's receipts never lie in memory all at once.
        receipts = (
            Receipt(f"{delivery_id.hex()}-{kind}", delivery_id, kind, at_ms)
            for delivery_id in due.delivery_ids
            for kind in due.kinds
        )
        while batch := list(islice(receipts, BATCH)):
            await self._sink.put(batch)
