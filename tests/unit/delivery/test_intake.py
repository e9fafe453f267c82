"""What the way into the inbox does with many at once, and with too many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from clarion.delivery.intake import MAX_BATCH, WRITERS, Arrival, Intake
from clarion.delivery.model import Receipt
from clarion.kernel.errors import Throttled, Transient


class Inbox:
    """An inbox that writes when the test says so."""

    def __init__(self) -> None:
        self.written: list[list[Arrival]] = []
        self.may_write = asyncio.Event()
        self.is_away = False

    async def put_all(self, arrivals: Sequence[Arrival]) -> None:
        """Keep them, once they may be written."""
        await self.may_write.wait()
        if self.is_away:
            raise Transient("away")
        self.written.append(list(arrivals))


def arrival(count: int = 1) -> Arrival:
    return Arrival(b"t" * 16, "acme", [Receipt("r", b"d" * 16, "delivered", 1)] * count)


async def test_calls_that_come_together_are_written_together():
    inbox = Inbox()
    inbox.may_write.set()
    intake = Intake(inbox)
    await asyncio.gather(*(intake.take(arrival()) for _ in range(MAX_BATCH)))
    assert [len(written) for written in inbox.written] == [MAX_BATCH]


async def test_a_flood_is_told_to_come_back_and_loses_nothing_that_was_taken():
    inbox = Inbox()
    intake = Intake(inbox, most=300)
    calls = [asyncio.create_task(intake.take(arrival(10))) for _ in range(300)]
    await asyncio.sleep(0)
    inbox.may_write.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Throttled)]
    assert (len(refused), {result.retry_after for result in refused}) == (270, {2.0})
    assert sum(len(one.receipts) for written in inbox.written for one in written) == 300
    assert len(inbox.written) <= WRITERS
    await intake.take(arrival(10))


async def test_one_call_that_is_larger_than_the_room_is_taken_when_nothing_waits():
    inbox = Inbox()
    inbox.may_write.set()
    await Intake(inbox, most=5).take(arrival(50))
    assert len(inbox.written) == 1


async def test_what_cannot_be_kept_is_told_and_makes_room_again():
    inbox = Inbox()
    inbox.is_away = True
    inbox.may_write.set()
    intake = Intake(inbox, most=10)
    for _ in range(3):
        with pytest.raises(Transient):
            await intake.take(arrival(10))
    inbox.is_away = False
    await intake.take(arrival(10))
