"""Receipts on their way in: those that come together are kept together, and a flood is told to come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from clarion.delivery.model import Receipt
from clarion.kernel.batch import Coalescer
from clarion.kernel.errors import Throttled

MAX_WAITING: Final = 20_000
"""Receipts that may wait to be written: a few seconds' work of Postgres, and about 10 MB."""

MAX_BATCH: Final = 64
"""Calls that are written together at most."""

WRITERS: Final = 2
"""Statements under way at a time: one waits for the disk while the other is encoded."""

COME_BACK_S: Final = 2.0


class Arrival(msgspec.Struct, frozen=True):
    """What one call brought, for one account. `tenant_id` b"": words of our own, about deliveries of anybody."""

    tenant_id: bytes
    provider: str
    receipts: Sequence[Receipt]


class Inbox(Protocol):
    """Where receipts are kept until they are folded."""

    async def put_all(self, arrivals: Sequence[Arrival]) -> None:
        """Keep all of them, or none. Durable when this returns. Raises Transient."""
        ...


class Intake:
    """The way into an inbox for many callers at once. `most`: how many receipts may wait."""

    def __init__(self, inbox: Inbox, most: int = MAX_WAITING) -> None:
        self._inbox = inbox
        self._most = most
        self._waiting = 0
        self._calls: Coalescer[Arrival, None] = Coalescer(
            self._write, limit=MAX_BATCH, concurrency=WRITERS, crowd=MAX_BATCH
        )

    async def take(self, arrival: Arrival) -> None:
        """Keep what arrived; durable when this returns.

        Raises Throttled where too much waits already, and Transient where it cannot be kept: nothing of it is then,
        and the provider calls again.
        """
        if self._waiting and self._waiting + len(arrival.receipts) > self._most:
            raise Throttled("more receipts than can be written wait already", COME_BACK_S)
        self._waiting += len(arrival.receipts)
        try:
            await self._calls.submit(arrival)
        finally:
            self._waiting -= len(arrival.receipts)

    async def _write(self, arrivals: list[Arrival]) -> Sequence[None]:
        await self._inbox.put_all(arrivals)
        return [None] * len(arrivals)
