"""Accepted work that the queue could not take: kept here, and queued when the queue is back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.contracts.work import WorkItem
from clarion.kernel.errors import Transient
from clarion.orchestration.ports import WorkSink

MAX_OWED: Final = 100_000
"""Items kept, of 200 bytes each. The sweeper finds the others in Postgres, and all of them if this process ends."""

BATCH: Final = 5_000


class PatientSink:
    """`WorkSink` that holds up no accept: what the queue cannot take is owed to it, and paid by `settle`."""

    def __init__(self, queue: WorkSink) -> None:
        self._queue = queue
        self._owed: list[WorkItem] = []

    async def enqueue(self, items: Sequence[WorkItem]) -> None:
        """Queue items, or keep them. While anything is owed nobody waits for the queue: it did not answer last time."""
        if not self._owed:
            try:
                await self._queue.enqueue(items)
            except Transient:
                pass
            else:
                return
        self._owed.extend(items[: MAX_OWED - len(self._owed)])

    async def settle(self) -> None:
        """Queue what is owed, oldest first; what the queue still does not take stays owed."""
        while self._owed:
            batch = self._owed[:BATCH]
            try:
                await self._queue.enqueue(batch)
            except Transient:
                return
            del self._owed[: len(batch)]
