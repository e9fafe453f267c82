"""`EventLog` and `EventConsumer`: what producers, consumers and the keeper of the log rely on."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Protocol, TypeAlias

import pytest

from clarion.adapters.eventlog.streams import StreamsEventLog
from clarion.adapters.valkey.client import ValkeyClients
from clarion.contracts.topics import Topic
from clarion.kernel.clock import StoreClock
from clarion.orchestration.ports import EventConsumer, EventLog, LogEntry, Subscription
from clarion.testing.eventlog import InMemoryEventLog

pytestmark = pytest.mark.asyncio(loop_scope="session")

WEEK_MS = 7 * 24 * 3600 * 1000
LONG_MS = 60_000


class Log(EventLog, EventConsumer, Protocol):
    """Both sides of one log."""


Make: TypeAlias = Callable[[int], Log]
"""Makes the log under test, with its size in bytes."""


@pytest.fixture
def make(clients: ValkeyClients | None) -> Make:
    def make(max_bytes: int) -> Log:
        if clients is None:
            return InMemoryEventLog(StoreClock(), max_bytes)
        return StreamsEventLog(clients, max_bytes)

    return make


@pytest.fixture
def log(make: Make) -> Log:
    return make(1 << 30)


@pytest.fixture
def topic() -> Topic:
    return Topic(f"test-{os.urandom(6).hex()}", 4, WEEK_MS)


@pytest.fixture
def projector(topic: Topic) -> Subscription:
    return Subscription("projector", "worker-1", topic)


async def read_all(log: Log, subscription: Subscription) -> list[LogEntry]:
    found: list[LogEntry] = []
    while new := await log.read(subscription, max_entries=100):
        found += new
    return found


def payloads(entries: list[LogEntry]) -> list[bytes]:
    return [entry.payload for entry in entries]


async def test_every_entry_comes_once_with_its_bytes(log: Log, projector: Subscription):
    sent = [(key, b"\x00\xff %d" % key) for key in range(50)]
    await log.append(projector.topic, sent)
    found = await read_all(log, projector)
    assert Counter(payloads(found)) == Counter(payload for _, payload in sent)
    assert len({(entry.partition, entry.entry_id) for entry in found}) == 50
    assert await log.read(projector, max_entries=100) == []


async def test_what_one_key_sends_keeps_its_order(log: Log, projector: Subscription):
    numbers = count()
    for _ in range(5):
        batch = [(key, b"%d %d" % (key, next(numbers))) for key in (1, 2, 5, 7 << 48 | 1, 1, 1)]
        await log.append(projector.topic, batch)
    found = await read_all(log, projector)
    for key in (1, 2, 5, 7 << 48 | 1):
        mine = [int(payload.split()[1]) for payload in payloads(found) if int(payload.split()[0]) == key]
        assert mine == sorted(mine)
        assert {entry.partition for entry in found if int(entry.payload.split()[0]) == key} == {key % 4}


async def test_a_partitions_number_is_a_key_of_it(log: Log, projector: Subscription):
    await log.append(projector.topic, [(3, b"a"), (0, b"b")])
    assert {(entry.partition, entry.payload) for entry in await read_all(log, projector)} == {
        (3, b"a"),
        (0, b"b"),
    }


async def test_nothing_to_append_or_ack_is_no_trouble(log: Log, projector: Subscription):
    await log.append(projector.topic, [])
    await log.ack(projector, [])
    assert await log.read(projector, max_entries=10) == []
    assert await log.claim(projector, idle_ms=0, max_entries=10) == []


async def test_each_group_gets_everything_from_the_beginning(log: Log, topic: Topic):
    await log.append(topic, [(key, b"%d" % key) for key in range(8)])
    for group in ("projector", "analytics"):
        found = await read_all(log, Subscription(group, "worker-1", topic))
        assert len(found) == 8


async def test_consumers_of_a_group_share_the_entries(log: Log, topic: Topic):
    await log.append(topic, [(key, b"%d" % key) for key in range(40)])
    workers = [Subscription("projector", f"worker-{number}", topic) for number in range(3)]
    seen: Counter[bytes] = Counter()
    while found := [entry for worker in workers for entry in await log.read(worker, max_entries=4)]:
        seen.update(payloads(found))
    assert seen == Counter(b"%d" % key for key in range(40))


async def test_a_read_is_bounded(log: Log, projector: Subscription):
    await log.append(projector.topic, [(key, b"") for key in range(100)])
    assert len(await log.read(projector, max_entries=20)) == 20
    assert len(await log.read(projector, max_entries=1)) == 4, (
        "one a partition at least, so that none starves"
    )


async def test_a_read_waits_for_the_next_entry(log: Log, projector: Subscription):
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = group.create_task(log.read(projector, max_entries=10, block_ms=LONG_MS))
        await asyncio.sleep(0)
        await log.append(projector.topic, [(2, b"late")])
    assert payloads(await waiting) == [b"late"]


async def test_a_read_ends_when_nothing_comes(log: Log, projector: Subscription):
    async with asyncio.timeout(30):
        assert await log.read(projector, max_entries=10, block_ms=1) == []


async def test_a_cancelled_read_takes_nothing_with_it_for_ever(log: Log, projector: Subscription):
    waiting = asyncio.create_task(log.read(projector, max_entries=10, block_ms=LONG_MS))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await log.append(projector.topic, [(1, b"x")])
    async with asyncio.timeout(30):
        found: list[LogEntry] = []
        while (
            not found
        ):  # the server may have given it to the connection that was cut, and then it is pending
            found = await log.read(projector, max_entries=10) or await log.claim(
                projector, idle_ms=0, max_entries=10
            )
    assert payloads(found) == [b"x"]


async def test_lag_counts_what_is_not_acked(log: Log, projector: Subscription):
    topic = projector.topic
    assert await log.lag("projector", topic) == 0
    await log.append(topic, [(key, b"%d" % key) for key in range(12)])
    assert await log.lag("projector", topic) == 12
    first = await log.read(projector, max_entries=4)
    assert await log.lag("projector", topic) == 12
    await log.ack(projector, first)
    await log.ack(projector, first)
    assert await log.lag("projector", topic) == 8
    await log.ack(projector, await read_all(log, projector))
    assert await log.lag("projector", topic) == 0
    assert await log.lag("analytics", topic) == 12


async def test_entries_of_a_dead_consumer_can_be_claimed(log: Log, projector: Subscription):
    heir = Subscription("projector", "worker-2", projector.topic)
    await log.append(projector.topic, [(key, b"%d" % key) for key in range(12)])
    given = await read_all(log, projector)
    await log.ack(projector, given[:4])
    assert await log.claim(heir, idle_ms=LONG_MS, max_entries=100) == []
    claimed = await log.claim(heir, idle_ms=0, max_entries=100)
    assert sorted(payloads(claimed)) == sorted(payloads(given[4:]))
    assert {(e.partition, e.entry_id) for e in claimed} == {(e.partition, e.entry_id) for e in given[4:]}
    assert await log.claim(projector, idle_ms=LONG_MS, max_entries=100) == [], (
        "they are the heir's now, and fresh"
    )
    await log.ack(heir, claimed)
    assert await log.claim(heir, idle_ms=0, max_entries=100) == []
    assert await log.lag("projector", projector.topic) == 0


async def test_claims_are_bounded_and_come_to_an_end(log: Log, projector: Subscription):
    await log.append(projector.topic, [(key, b"%d" % key) for key in range(200)])
    await read_all(log, projector)
    claimed: list[LogEntry] = []
    while found := await log.claim(projector, idle_ms=0, max_entries=8):
        assert len(found) <= 8
        claimed += found
        await log.ack(projector, found)
    assert len(claimed) == 200


@pytest.fixture
def short_lived(topic: Topic) -> Topic:
    """A topic whose entries are old at once."""
    return Topic(topic.name, topic.partitions, retention_ms=0)


BIG = b"x" * 5_000
"""Larger than a node of a stream, so that each entry is one and can go by itself."""


async def trim_until(log: Log, topic: Topic, removed: int) -> None:
    """Trim until so many entries are gone: the store's clock has to leave the millisecond in which they came."""
    async with asyncio.timeout(30):
        while removed > 0:
            removed -= await log.trim([topic])
    assert removed == 0


async def test_old_entries_go_when_every_group_has_acked_them(log: Log, short_lived: Topic):
    one, two = (Subscription(group, "worker-1", short_lived) for group in ("one", "two"))
    await log.append(short_lived, [(key, BIG) for key in range(12)])
    await log.ack(one, await read_all(log, one))
    await read_all(log, two)
    for _ in range(20):
        assert await log.trim([short_lived]) == 0
    await log.ack(two, await log.claim(two, idle_ms=0, max_entries=100))
    await trim_until(log, short_lived, 12)
    assert await read_all(log, Subscription("three", "worker-1", short_lived)) == []
    assert await log.lag("one", short_lived) == 0


async def test_what_a_group_has_yet_to_read_stays(log: Log, short_lived: Topic):
    slow = Subscription("slow", "worker-1", short_lived)
    await log.append(short_lived, [(0, BIG)] * 5)
    await log.ack(slow, await log.read(slow, max_entries=8))
    await trim_until(log, short_lived, 2)
    assert len(await read_all(log, slow)) == 3
    assert await log.lag("slow", short_lived) == 3


async def test_what_was_read_but_not_acked_stays_with_all_after_it(log: Log, short_lived: Topic):
    reader = Subscription("reader", "worker-1", short_lived)
    await log.append(short_lived, [(0, BIG + b"%d" % number) for number in range(6)])
    given = await read_all(log, reader)
    await log.ack(reader, [*given[:2], *given[3:]])
    await trim_until(log, short_lived, 2)
    for _ in range(20):
        assert await log.trim([short_lived]) == 0
    assert payloads(await log.claim(reader, idle_ms=0, max_entries=100)) == [BIG + b"2"]


async def test_young_entries_stay_while_there_is_room(log: Log, projector: Subscription):
    await log.append(projector.topic, [(key, BIG) for key in range(8)])
    await log.ack(projector, await read_all(log, projector))
    assert await log.trim([projector.topic]) == 0
    assert await log.trim([]) == 0


async def test_over_the_size_the_oldest_acked_entries_go(make: Make, topic: Topic):
    log = make(100_000)
    reader = Subscription("reader", "worker-1", topic)
    await log.append(topic, [(number % 4, BIG + b"%02d" % number) for number in range(40)])
    given = await read_all(log, reader)
    assert await log.trim([topic]) == 0, "200 kB, but nothing is acked"
    await log.ack(reader, given)
    assert await log.trim([topic]) >= 20
    left = payloads(await read_all(log, Subscription("other", "worker-1", topic)))
    assert 12 <= len(left) <= 20
    assert set(left) == {BIG + b"%02d" % number for number in range(40 - len(left), 40)}
    assert await log.trim([topic]) == 0, "there is room now"


async def test_a_log_without_consumers_is_trimmed_too(log: Log, short_lived: Topic):
    await log.append(short_lived, [(key, BIG) for key in range(8)])
    await trim_until(log, short_lived, 8)
