from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from clarion.kernel.batch import Coalescer
from clarion.kernel.errors import Transient


class Store:
    """Answers batches when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._answers: list[asyncio.Future[None]] = []

    async def run(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        await answer
        return [ValueError(str(item)) if item < 0 else item * 2 for item in items]

    def answer(self, error: Exception | None = None) -> None:
        """Answer the oldest batch."""
        answer = self._answers.pop(0)
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)


async def turns(count: int = 5) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def submit(coalescer: Coalescer[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(coalescer.submit(item)) for item in items]


async def test_calls_of_one_turn_are_one_batch_and_later_ones_the_next():
    store = Store()
    coalescer = Coalescer(store.run, limit=10, concurrency=1)
    first = submit(coalescer, 1, 2)
    await turns()
    second = submit(coalescer, 3)
    await turns()
    second += submit(coalescer, 4)
    await turns()
    assert store.batches == [[1, 2]]
    store.answer()
    assert await asyncio.gather(*first) == [2, 4]
    await turns()
    assert store.batches == [[1, 2], [3, 4]]
    store.answer()
    assert await asyncio.gather(*second) == [6, 8]


async def test_a_batch_has_no_more_than_its_limit():
    store = Store()
    coalescer = Coalescer(store.run, limit=2, concurrency=1)
    waiting = submit(coalescer, 1, 2, 3, 4, 5)
    for _ in range(3):
        await turns()
        store.answer()
    assert await asyncio.gather(*waiting) == [2, 4, 6, 8, 10]
    assert store.batches == [[1, 2], [3, 4], [5]]


async def test_beside_a_batch_another_starts_for_a_crowd_only():
    store = Store()
    coalescer = Coalescer(store.run, limit=10, concurrency=2, crowd=3)
    waiting = submit(coalescer, 1)
    await turns()
    waiting += submit(coalescer, 2, 3)
    await turns()
    assert store.batches == [[1]]
    waiting += submit(coalescer, 4)
    await turns()
    assert store.batches == [[1], [2, 3, 4]]
    waiting += submit(coalescer, 5, 6, 7, 8)
    await turns()
    assert len(store.batches) == 2
    store.answer()
    store.answer()
    await turns()
    store.answer()
    assert await asyncio.gather(*waiting) == [2, 4, 6, 8, 10, 12, 14, 16]


async def test_an_items_error_is_its_own_and_a_batchs_error_everybodys():
    store = Store()
    coalescer = Coalescer(store.run, limit=10, concurrency=1)
    mixed = submit(coalescer, 1, -1)
    await turns()
    store.answer()
    assert await mixed[0] == 2
    with pytest.raises(ValueError, match="-1"):
        await mixed[1]
    failing = submit(coalescer, 1, 2)
    await turns()
    store.answer(Transient("away"))
    for task in failing:
        with pytest.raises(Transient):
            await task


async def test_a_caller_who_leaves_disturbs_nobody():
    store = Store()
    coalescer = Coalescer(store.run, limit=10, concurrency=1)
    stays, leaves = submit(coalescer, 1, 2)
    await turns()
    leaves.cancel()
    await turns()
    store.answer()
    assert await stays == 2
    assert leaves.cancelled()
