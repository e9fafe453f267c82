"""Turning single calls into batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """Gathers concurrent calls into one batch call. Idle, a call waits for nothing; busy, it joins the next batch.

    `run` takes a list of items and gives one result per item in order; a result that is an exception is raised to its
    caller alone, while an exception that `run` raises goes to all of its batch. At most `concurrency` batches run at a
    time, each of at most `limit` items; beside one that runs, another starts only for `crowd` items or more: two small
    batches cost nearly twice as much as one.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
        *,
        limit: int,
        concurrency: int,
        crowd: int = 1,
    ) -> None:
        self._run = run
        self._limit = limit
        self._concurrency = concurrency
        self._crowd = crowd
        self._running = 0
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def submit(self, item: T) -> R:
        """The result for `item`. Cancelling the caller does not take the item out of its batch."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future))
        if not self._scheduled and self._may_start():
            # One turn of the loop: what other tasks submit in the same turn rides along.
            self._scheduled = True
            loop.call_soon(self._start)
        return await future

    def _may_start(self) -> bool:
        if not self._running:
            return bool(self._waiting)
        return self._running < self._concurrency and len(self._waiting) >= self._crowd

    def _start(self) -> None:
        self._scheduled = False
        while self._may_start():
            batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            self._running += 1
            task = asyncio.get_running_loop().create_task(self._flush(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _flush(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as exc:  # noqa: BLE001  whatever it is, the callers must hear it
            self._settle([(future, exc) for _, future in batch])
        else:
            self._settle([(future, result) for (_, future), result in zip(batch, results, strict=True)])
        finally:
            self._running -= 1
            self._start()

    @staticmethod
    def _settle(results: Sequence[tuple[asyncio.Future[R], R | Exception]]) -> None:
        for future, result in results:
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
