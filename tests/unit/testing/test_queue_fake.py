"""What the in-memory queue can do beyond the conformance suite: go away, and lose everything."""

from __future__ import annotations

import pytest

from clarion.contracts.work import WorkItem
from clarion.kernel.errors import Transient
from clarion.testing.queue import InMemoryQueue

ITEM = WorkItem(bytes(16), bytes(16), "email", 5)


async def test_a_queue_that_is_away_is_transient_in_everything_and_comes_back_as_it_was() -> None:
    queue = InMemoryQueue(lambda: 0)
    await queue.enqueue([ITEM])
    queue.store.is_away = True
    for call in (
        queue.enqueue([ITEM]),
        queue.claim("email", 1, lease_ms=1),
        queue.ack([ITEM]),
        queue.postpone([ITEM]),
        queue.wait("email", 0),
        queue.promote("email", 1),
        queue.reap("email", 1),
        queue.feed("email"),
        queue.remove([ITEM]),
        queue.depths("email"),
        queue.weigh(ITEM.tenant_id, 2),
        queue.holds_marker(),
        queue.mark(),
    ):
        with pytest.raises(Transient):
            await call
    queue.store.is_away = False
    assert await queue.claim("email", 10, lease_ms=1) == [ITEM]


async def test_a_wipe_takes_the_marker_with_it() -> None:
    queue = InMemoryQueue(lambda: 0)
    await queue.enqueue([ITEM])
    await queue.mark()
    queue.store.wipe()
    assert await queue.claim("email", 10, lease_ms=1) == []
    assert not await queue.holds_marker()
