"""What every queue promises: the fake, a single Valkey, and a cluster of three."""

from __future__ import annotations

import asyncio
import itertools
import math
import uuid
from collections import Counter
from collections.abc import Sequence

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.contracts.work import WorkItem
from clarion.testing.queue import HERD, HERD_SPREAD_MS, LINE_TARGET, QUANTUM
from clarion.testing.queue_worlds import FakeWorld, QueueWorld, ValkeyWorld, WorkQueue

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHANNEL = "email"
LEASE_MS = 60_000
MINUTE_MS = 60_000
LINE_MOST = 2000
ALICE, BOB, CAROL = (bytes([n]) * 16 for n in (1, 2, 3))

_numbers = itertools.count(1)


@pytest.fixture
def world(clients: ValkeyClients | None) -> QueueWorld:
    return FakeWorld() if clients is None else ValkeyWorld(clients, region=uuid.uuid4().hex)


@pytest.fixture
def queue(world: QueueWorld) -> WorkQueue:
    return world.queue


def work(
    count: int, tenant: bytes = ALICE, priority: int = 5, *, due_ms: int = 0, channel: str = CHANNEL
) -> list[WorkItem]:
    """New items, whose ids are in order and whose jitter bits are spread."""
    return [
        WorkItem(number.to_bytes(11, "big") + uuid.uuid4().bytes[:5], tenant, channel, priority, due_ms)
        for number in itertools.islice(_numbers, count)
    ]


async def claim(
    queue: WorkQueue, limit: int, *, lease_ms: int = LEASE_MS, urgent_only: bool = False
) -> list[WorkItem]:
    return await queue.claim(CHANNEL, limit, lease_ms=lease_ms, urgent_only=urgent_only)


async def claim_all(queue: WorkQueue, step: int = 500) -> list[WorkItem]:
    claimed: list[WorkItem] = []
    while batch := await claim(queue, step):
        claimed += batch
    return claimed


def as_due_now(items: Sequence[WorkItem]) -> list[WorkItem]:
    """The items as a claim gives them: without the due time they were queued with."""
    return [WorkItem(item.delivery_id, item.tenant_id, item.channel, item.priority) for item in items]


# ------------------------------------------------------------------------------------------- claims, leases and acks


async def test_what_is_queued_is_claimed_once_and_forgotten_when_acked(queue: WorkQueue) -> None:
    items = work(30)
    await queue.enqueue(items)

    assert await claim(queue, 20) == items[:20]
    assert await claim(queue, 20) == items[20:]
    assert await claim(queue, 20) == []
    assert (await queue.depths(CHANNEL)).in_flight == 30
    await queue.ack(items)
    depths = await queue.depths(CHANNEL)
    assert (depths.in_flight, sum(depths.queued), depths.scheduled) == (0, 0, 0)


async def test_nothing_comes_from_an_empty_queue_or_an_empty_wish(queue: WorkQueue) -> None:
    assert await claim(queue, 10) == []
    await queue.enqueue([])
    await queue.ack([])
    await queue.enqueue(work(1))
    assert await claim(queue, 0) == []
    assert (await queue.depths(CHANNEL)).queued[5] == 1


async def test_channels_have_lines_of_their_own(queue: WorkQueue) -> None:
    mails, texts = work(3), work(3, channel="sms")
    await queue.enqueue([item for pair in zip(mails, texts, strict=True) for item in pair])

    assert await queue.claim("sms", 10, lease_ms=LEASE_MS) == texts
    await queue.ack(mails)  # not claimed: ignored
    assert await claim(queue, 10) == mails


async def test_a_tenants_work_of_one_priority_stays_in_order(queue: WorkQueue) -> None:
    items = work(3 * LINE_TARGET)
    for i in range(0, len(items), 333):
        await queue.enqueue(items[i : i + 333])
    assert await claim_all(queue, 130) == items


async def test_a_batch_may_be_larger_than_one_script_call(queue: WorkQueue) -> None:
    items = work(12_000)
    await queue.enqueue(items)
    claimed = await claim_all(queue, 5000)
    assert claimed == items
    await queue.ack(claimed)
    assert (await queue.depths(CHANNEL)).in_flight == 0


async def test_what_is_not_acked_comes_back_when_its_lease_ends(world: QueueWorld) -> None:
    queue = world.queue
    items = work(5)
    await queue.enqueue(items)
    held = await claim(queue, 3)
    await queue.ack(held[:1])

    assert await queue.reap(CHANNEL, 100) == 0
    await world.advance(LEASE_MS)
    assert await queue.reap(CHANNEL, 1) == 1
    assert await queue.reap(CHANNEL, 100) == 1
    assert set(await claim(queue, 2)) == set(items[1:3]), "expired work goes to the head"
    assert await claim(queue, 10) == items[3:]


async def test_ended_leases_can_be_seen_before_they_are_reaped(world: QueueWorld) -> None:
    queue = world.queue
    items = work(5)
    await queue.enqueue(items)
    await claim(queue, 3)

    assert await queue.ended(CHANNEL, 100) == []
    await world.advance(LEASE_MS)
    seen = await queue.ended(CHANNEL, 100)
    assert sorted(item.delivery_id for item in seen) == sorted(item.delivery_id for item in items[:3])
    assert len(await queue.ended(CHANNEL, 2)) == 2
    assert await queue.reap(CHANNEL, len(seen)) == 3
    assert await queue.ended(CHANNEL, 100) == []


async def test_a_late_ack_does_not_reach_into_the_line(world: QueueWorld) -> None:
    queue = world.queue
    items = work(2)
    await queue.enqueue(items)
    zombie = await claim(queue, 2)
    await world.advance(LEASE_MS)
    await queue.reap(CHANNEL, 100)
    await queue.ack(zombie)
    assert await claim(queue, 10) == items


async def test_work_queued_twice_is_not_leased_twice(world: QueueWorld) -> None:
    queue = world.queue
    items = work(10)
    await queue.enqueue(items)
    await queue.enqueue(items[:5])
    assert await claim(queue, 8) == items[:8]
    await queue.enqueue(items[:3])
    assert await claim(world.another(), 20) == items[8:]

    await world.advance(LEASE_MS)
    await queue.reap(CHANNEL, 100)
    assert set(await claim(queue, 20)) == set(items), "what was dropped comes back with its lease's end"


async def test_claims_of_one_millisecond_do_not_share_what_is_queued_twice(world: QueueWorld) -> None:
    claimed: list[WorkItem] = []
    items = work(50)
    for item in items:
        await world.queue.enqueue([item, item])
        claims = await asyncio.gather(*(claim(queue, 1) for queue in (world.queue, world.another())))
        claimed += [leased for batch in claims for leased in batch]
    assert claimed == items


# --------------------------------------------------------------------------------------------------------- schedules


async def test_scheduled_work_waits_for_its_time_and_comes_in_its_order(world: QueueWorld) -> None:
    queue = world.queue
    later = work(2, due_ms=await world.due_in(2 * MINUTE_MS))
    sooner = work(2, due_ms=await world.due_in(MINUTE_MS))
    await queue.enqueue([*later, *sooner])

    assert await queue.promote(CHANNEL, 100) == 0
    assert await claim(queue, 10) == []
    await world.advance(MINUTE_MS)
    assert await queue.promote(CHANNEL, 100) == 2
    assert await claim(queue, 10) == as_due_now(sooner)
    await world.advance(MINUTE_MS)
    assert (await queue.depths(CHANNEL)).overdue_ms in range(1000)
    assert await queue.promote(CHANNEL, 1) == 1
    assert await queue.promote(CHANNEL, 1) == 1
    assert await claim(queue, 10) == as_due_now(later)


async def test_a_time_that_has_passed_means_now(world: QueueWorld) -> None:
    items = work(2, due_ms=await world.due_in(-1))
    await world.queue.enqueue(items)
    assert await claim(world.queue, 10) == as_due_now(items)


async def test_scheduling_twice_keeps_one_with_the_later_word(world: QueueWorld) -> None:
    queue = world.queue
    [item] = work(1, due_ms=await world.due_in(MINUTE_MS))
    await queue.enqueue([item])
    await queue.enqueue([WorkItem(*_identity(item), due_ms=await world.due_in(3 * MINUTE_MS))])
    await world.advance(2 * MINUTE_MS)
    assert await queue.promote(CHANNEL, 10) == 0
    assert (await queue.depths(CHANNEL)).scheduled == 1


async def test_postponed_work_gives_up_its_lease_until_it_is_due(world: QueueWorld) -> None:
    queue = world.queue
    await queue.enqueue(work(3))
    first, second, third = await claim(queue, 3)
    await queue.postpone([WorkItem(*_identity(first), due_ms=await world.due_in(3 * MINUTE_MS)), second])

    depths = await queue.depths(CHANNEL)
    assert (depths.in_flight, depths.scheduled, sum(depths.queued)) == (1, 1, 1)
    assert await claim(queue, 10) == [second]
    await world.advance(LEASE_MS)
    assert await queue.reap(CHANNEL, 10) == 2
    assert {item.delivery_id for item in await claim(queue, 10)} == {second.delivery_id, third.delivery_id}
    await world.advance(2 * MINUTE_MS)
    assert await queue.promote(CHANNEL, 10) == 1
    assert await claim(queue, 10) == [first]


async def test_what_is_removed_from_the_schedule_does_not_come(world: QueueWorld) -> None:
    queue = world.queue
    items = work(4, due_ms=await world.due_in(MINUTE_MS))
    await queue.enqueue(items)
    await queue.remove([*items[:3], *work(1)])
    await world.advance(MINUTE_MS)
    assert await queue.promote(CHANNEL, 10) == 1
    assert await claim(queue, 10) == as_due_now(items[3:])


async def test_a_herd_spreads_over_the_minute_but_for_urgent_work(world: QueueWorld) -> None:
    queue = world.queue
    due_ms = (await world.due_in(10 * MINUTE_MS)) // 1000 * 1000
    herd, urgent = work(HERD + 600, due_ms=due_ms), work(50, priority=2, due_ms=due_ms)
    for i in range(0, len(herd), 1000):
        await queue.enqueue(herd[i : i + 1000])
    await queue.enqueue(urgent)

    await world.advance(10 * MINUTE_MS)
    on_time = await _promote_all(queue)
    assert HERD + 50 <= on_time <= HERD + 50 + 60, "a second's share of the spread may be due by now"
    await world.advance(HERD_SPREAD_MS // 2)
    first_half = await _promote_all(queue)
    assert 200 < first_half < 400
    await world.advance(HERD_SPREAD_MS // 2)
    assert on_time + first_half + await _promote_all(queue) == HERD + 650


async def _promote_all(queue: WorkQueue) -> int:
    total = 0
    while moved := await queue.promote(CHANNEL, 5000):
        total += moved
    return total


def _identity(item: WorkItem) -> tuple[bytes, bytes, str, int]:
    return item.delivery_id, item.tenant_id, item.channel, item.priority


# -------------------------------------------------------------------------------------------------------- priorities


async def test_urgent_work_goes_first_strictly_by_priority(queue: WorkQueue) -> None:
    lines = {priority: work(4, priority=priority) for priority in (5, 2, 0, 1)}
    for items in lines.values():
        await queue.enqueue(items)
    assert await claim(queue, 16) == [*lines[0], *lines[1], *lines[2], *lines[5]]


async def test_the_reserved_lane_takes_urgent_work_only(queue: WorkQueue) -> None:
    urgent, other = work(3, priority=2), work(3, priority=3)
    await queue.enqueue([*other, *urgent])
    assert await claim(queue, 10, urgent_only=True) == urgent
    assert await claim(queue, 10, urgent_only=True) == []
    assert await claim(queue, 10) == other


async def test_classes_share_80_to_15_to_5(queue: WorkQueue) -> None:
    await _fill(queue, 3, 4, 5, 6, 7, 8, 9, 10)
    assert await _classes_of_claims(queue, 500, times=2) == {"high": 800, "middle": 150, "low": 50}


@pytest.mark.parametrize(("size", "times"), [(1, 400), (7, 60), (19, 20)])
async def test_small_claims_share_alike_over_time(queue: WorkQueue, size: int, times: int) -> None:
    await _fill(queue, 4, 7, 10)
    shares = await _classes_of_claims(queue, size, times)
    places = size * times
    assert shares["high"] >= 0.75 * places
    assert shares["middle"] >= 0.12 * places
    assert shares["low"] >= 0.045 * places


async def test_a_share_that_is_not_used_flows_down(queue: WorkQueue) -> None:
    await queue.enqueue([*work(10, priority=3), *work(400, priority=6), *work(400, priority=9)])
    assert await _classes_of_claims(queue, 200, times=1) == {"high": 10, "middle": 180, "low": 10}
    await queue.enqueue(work(LINE_TARGET, priority=3))
    assert await _classes_of_claims(queue, 300, times=1) == {"high": 240, "middle": 45, "low": 15}
    assert len(await claim_all(queue)) == 1310 - 500, "and no place stays empty while there is work"


@pytest.mark.parametrize("size", [1, 3, 19, 20, 50, 500])
async def test_the_lowest_class_is_served_under_a_flood_of_urgent_work(queue: WorkQueue, size: int) -> None:
    await queue.enqueue(work(200, priority=10))
    places = 0
    low = 0
    while places < 400:
        await queue.enqueue(work(size, priority=0))
        claimed = await claim(queue, size)
        assert len(claimed) == size
        low_now = sum(item.priority == 10 for item in claimed)
        assert size < 20 or low_now >= size * 0.05
        assert low_now <= math.ceil(size * 0.05), "no more than its floor: urgent work comes first"
        places, low = places + size, low + low_now
    assert low >= math.floor(places * 0.05)


async def test_a_flood_starves_no_class_and_no_priority(queue: WorkQueue) -> None:
    await _fill(queue, *range(11))
    seen: Counter[int] = Counter()
    for _ in range(20):
        claimed = await claim(queue, 100)
        seen.update(item.priority for item in claimed)
        await queue.enqueue([item for p in range(11) for item in work(100, priority=p)])
    assert seen[0] == 20 * 85
    assert min(seen[p] for p in range(3, 11)) >= 10


async def _fill(queue: WorkQueue, *priorities: int) -> None:
    for priority in priorities:
        await queue.enqueue(work(LINE_TARGET, priority=priority))


async def _classes_of_claims(queue: WorkQueue, size: int, times: int) -> Counter[str]:
    classes: Counter[str] = Counter()
    for _ in range(times):
        for item in await claim(queue, size):
            classes["high" if item.priority <= 4 else "middle" if item.priority <= 7 else "low"] += 1
    return classes


# ----------------------------------------------------------------------------------------------------------- tenants


async def test_a_tenants_thousands_do_not_stand_before_anothers_ten(queue: WorkQueue) -> None:
    await queue.enqueue(work(6000, ALICE))
    await queue.enqueue(work(10, BOB))
    await queue.enqueue(work(10, CAROL))
    served = await claim_all(queue, 100)
    ranks = [rank for rank, item in enumerate(served) if item.tenant_id != ALICE]
    assert len(served) == 6020
    assert max(ranks) < LINE_TARGET + 4 * QUANTUM


async def test_tenants_take_turns(queue: WorkQueue) -> None:
    tenants = [bytes([n]) * 16 for n in range(10, 20)]
    for tenant in tenants:
        await queue.enqueue(work(LINE_TARGET, tenant))
    await claim(queue, LINE_TARGET)  # what the first one had put in line before the others came
    counts = Counter([item.tenant_id for _ in range(9) for item in await claim(queue, 101)])
    fair = 9 * 101 / len(tenants[1:])
    assert set(counts) == set(tenants[1:])
    assert all(abs(count - fair) <= QUANTUM for count in counts.values())


async def test_a_weighted_tenant_has_longer_turns(queue: WorkQueue) -> None:
    await queue.weigh(BOB, 3)
    await queue.enqueue(work(LINE_TARGET, CAROL))
    await queue.enqueue([*work(800, ALICE), *work(800, BOB)])
    await claim(queue, LINE_TARGET)
    counts = Counter([item.tenant_id for _ in range(4) for item in await claim(queue, 100)])
    assert counts == {ALICE: 100, BOB: 300}


async def test_lines_stay_short_whatever_is_queued(queue: WorkQueue) -> None:
    for tenant in (ALICE, BOB):
        await queue.enqueue(work(4000, tenant, priority=3))
    await queue.feed(CHANNEL)
    before = await queue.depths(CHANNEL)
    assert before.queued[3] + before.backlog[3] == 8000
    assert before.queued[3] <= LINE_MOST
    await claim(queue, 3000)
    after = await queue.depths(CHANNEL)
    assert after.queued[3] <= LINE_MOST
    assert after.in_flight + after.queued[3] + after.backlog[3] == 8000


async def test_feeding_fills_a_line_that_claims_have_emptied(queue: WorkQueue) -> None:
    items = work(2 * LINE_TARGET)
    await queue.enqueue(items)
    assert await queue.feed(CHANNEL) == 0, "it is full"
    await claim(queue, 200)
    assert await queue.feed(CHANNEL) == 200
    assert await claim_all(queue) == items[200:]


# ------------------------------------------------------------------------------------------------------------ waking


async def test_a_wait_ends_when_work_comes(world: QueueWorld) -> None:
    async with asyncio.timeout(1.5):
        waiting = asyncio.create_task(world.queue.wait(CHANNEL, 2))
        # The work may come before or after the wait has begun: neither is missed.
        await world.another().enqueue(work(1))
        await waiting


async def test_a_wait_without_work_ends_in_time(queue: WorkQueue) -> None:
    async with asyncio.timeout(1.5):
        await queue.wait(CHANNEL, 0.05)


async def test_work_that_came_before_the_wait_ends_it(queue: WorkQueue) -> None:
    await queue.enqueue(work(1))
    await queue.enqueue(work(1))
    assert await _is_woken(queue)
    await claim(queue, 10)
    assert await _sleeps(queue), "there was one token, whatever came"


async def test_a_claim_that_leaves_work_wakes_the_next(queue: WorkQueue) -> None:
    await queue.enqueue(work(10))
    assert await _is_woken(queue)
    await claim(queue, 4)
    assert await _is_woken(queue)


async def test_promoted_and_reaped_work_wakes(world: QueueWorld) -> None:
    queue = world.queue
    await queue.enqueue(work(1, due_ms=await world.due_in(MINUTE_MS)))
    assert await _sleeps(queue)
    await world.advance(MINUTE_MS)
    await queue.promote(CHANNEL, 10)
    assert await _is_woken(queue)
    await claim(queue, 10, lease_ms=-1)
    await queue.reap(CHANNEL, 10)
    assert await _is_woken(queue)


async def test_the_reserved_lane_sleeps_through_other_work(queue: WorkQueue) -> None:
    await queue.enqueue(work(1, priority=3))
    assert await _sleeps(queue, urgent_only=True)
    assert await _is_woken(queue)
    await queue.enqueue(work(1, priority=2))
    assert await _is_woken(queue, urgent_only=True)
    assert await _is_woken(queue)


async def _is_woken(queue: WorkQueue, *, urgent_only: bool = False) -> bool:
    return await _span_of_wait(queue, 2, urgent_only=urgent_only) < 1.5


async def _sleeps(queue: WorkQueue, *, urgent_only: bool = False) -> bool:
    return await _span_of_wait(queue, 0.1, urgent_only=urgent_only) > 0.09


async def _span_of_wait(queue: WorkQueue, timeout_s: float, *, urgent_only: bool) -> float:
    clock = asyncio.get_running_loop().time
    began = clock()
    await queue.wait(CHANNEL, timeout_s, urgent_only=urgent_only)
    return clock() - began


# ------------------------------------------------------------------------------------------- what operators rely on


async def test_depths_tell_what_is_where(world: QueueWorld) -> None:
    queue = world.queue
    await queue.enqueue([*work(3, priority=1), *work(LINE_TARGET + 7, priority=9)])
    await queue.enqueue(work(5, due_ms=await world.due_in(MINUTE_MS)))
    await claim(queue, 2, urgent_only=True)
    depths = await queue.depths(CHANNEL)
    assert depths.queued == (0, 1, 0, 0, 0, 0, 0, 0, 0, LINE_TARGET, 0)
    assert depths.backlog == (0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0)
    assert (depths.scheduled, depths.in_flight, depths.overdue_ms) == (5, 2, 0)
    assert depths.oldest_ms > 0
    await world.advance(3 * MINUTE_MS)
    assert 2 * MINUTE_MS <= (await queue.depths(CHANNEL)).overdue_ms < 3 * MINUTE_MS


async def test_a_wipe_is_noticed_and_the_queue_goes_on(world: QueueWorld) -> None:
    queue = world.queue
    assert not await queue.holds_marker()
    await queue.mark()
    assert await queue.holds_marker()

    items = work(3 * LINE_TARGET)
    await queue.enqueue(items)
    held = await claim(queue, 10)
    await world.wipe()
    assert not await queue.holds_marker()
    await queue.mark()
    await queue.ack(held)
    await queue.enqueue(items[10:])
    assert await claim_all(queue) == items[10:]
