"""Many callers, few requests: notifications that are sent at the same time travel together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from clarion.client.errors import ApiError, ItemRefused
from clarion.contracts.commands import NotificationRequest
from clarion.contracts.responses import BatchItem
from clarion.kernel.batch import Coalescer

SendBatch = Callable[[Sequence[NotificationRequest]], Awaitable[list[BatchItem]]]


class Batcher:
    """Gathers concurrent `send`s into batches of at most `limit`, `concurrency` of them under way at a time.

    Idle, a send waits for nothing; busy, it joins the next batch.
    """

    def __init__(self, send_batch: SendBatch, *, limit: int = 500, concurrency: int = 4) -> None:
        self._send_batch = send_batch
        self._sends: Coalescer[NotificationRequest, BatchItem] = Coalescer(
            self._run, limit=limit, concurrency=concurrency, crowd=16
        )

    async def send(self, request: NotificationRequest) -> BatchItem:
        """The answer to one notification: it is durable. Raises ItemRefused for it alone, ApiError for its batch."""
        return await self._sends.submit(request)

    async def _run(self, requests: list[NotificationRequest]) -> Sequence[BatchItem | Exception]:
        try:
            items = await self._send_batch(requests)
        except ApiError as error:
            return [error] * len(requests)
        return [item if item.error is None else ItemRefused(item.error) for item in items]
