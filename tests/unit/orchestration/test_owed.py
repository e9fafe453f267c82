"""What the queue could not take is kept for it, in order, and within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from clarion.contracts.work import WorkItem
from clarion.kernel.errors import Transient
from clarion.orchestration.owed import BATCH, MAX_OWED, PatientSink


class Queue:
    """A `WorkSink` that can be away, and counts how often it was asked."""

    def __init__(self) -> None:
        self.items: list[WorkItem] = []
        self.is_away = False
        self.asked = 0

    async def enqueue(self, items: Sequence[WorkItem]) -> None:
        self.asked += 1
        if self.is_away:
            raise Transient("away")
        self.items.extend(items)


def work(count: int) -> list[WorkItem]:
    return [WorkItem(number.to_bytes(16, "big"), b"t" * 16, "email", 5) for number in range(count)]


async def test_what_comes_while_the_queue_is_away_is_queued_when_it_is_back():
    queue, items = Queue(), work(3 * BATCH)
    sink = PatientSink(queue)
    await sink.enqueue(items[:1])
    queue.is_away = True
    await sink.enqueue(items[1:10])
    await sink.settle()
    queue.is_away = False
    await sink.enqueue(items[10:])
    assert queue.items == items[:1]

    await sink.settle()

    assert queue.items == items
    await sink.enqueue(items[:1])
    assert len(queue.items) == len(items) + 1


async def test_nobody_waits_for_a_queue_that_did_not_answer_last_time():
    queue, items = Queue(), work(100)
    sink = PatientSink(queue)
    queue.is_away = True

    for item in items:
        await sink.enqueue([item])

    assert queue.asked == 1


async def test_an_outage_without_end_takes_no_memory_without_end():
    queue, items = Queue(), work(MAX_OWED + 10)
    sink = PatientSink(queue)
    queue.is_away = True
    await sink.enqueue(items[:-20])
    await sink.enqueue(items[-20:])

    queue.is_away = False
    await sink.settle()

    assert queue.items == items[:MAX_OWED]
