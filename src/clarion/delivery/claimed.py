"""The items of one claim, and what the queue still has to be told about them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from clarion.contracts.work import WorkItem
from clarion.delivery.ports import WorkSource
from clarion.kernel.errors import Transient

_AWAY: Final = contextlib.suppress(Transient)


class Claimed:
    """Tells the queue, which may be away: Postgres has the truth by then, and the queue only an index of it.

    What it could not be told it learns when the lease ends: the item comes back, and is found to be over or not due.
    """

    def __init__(self, items: Sequence[WorkItem], queue: WorkSource) -> None:
        self._left = {item.delivery_id: item for item in items}
        self._queue = queue

    async def ack(self, items: Sequence[WorkItem]) -> None:
        """These are over, or somebody else's."""
        self._settle(items)
        if items:
            with _AWAY:
                await self._queue.ack(items)

    async def postpone(self, items: Sequence[WorkItem]) -> None:
        """These go on at their `due_ms`."""
        self._settle(items)
        if items:
            with _AWAY:
                await self._queue.postpone(items)

    async def give_back(self, due_ms: int) -> None:
        """Offer all that was neither acked nor postponed again at `due_ms`."""
        await self.postpone([replace(item, due_ms=due_ms) for item in self._left.values()])

    def _settle(self, items: Sequence[WorkItem]) -> None:
        for item in items:
            self._left.pop(item.delivery_id, None)
