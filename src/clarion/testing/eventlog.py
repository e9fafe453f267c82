"""The event log in memory, for tests of producers and consumers. One conformance suite binds it and the real ones."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from clarion.contracts.topics import Topic, partition_of
from clarion.kernel.clock import Clock
from clarion.orchestration.ports import LogEntry, Subscription


class _Kept(msgspec.Struct, frozen=True):
    """An entry, its number within the partition, and the millisecond of its arrival."""

    number: int
    entry: LogEntry
    at_ms: int


class _Group(msgspec.Struct):
    """What one group knows of one partition: the last number given out, and when those not acked yet were."""

    given: int = 0
    pending: dict[int, float] = {}


class _Partition(msgspec.Struct):
    kept: list[_Kept] = []
    groups: dict[str, _Group] = {}
    appended: int = 0

    def needed_from(self) -> int:
        """The first number that some group still needs; without groups one that is yet to come."""
        firsts = [min(group.pending, default=group.given + 1) for group in self.groups.values()]
        return min(firsts, default=self.appended + 1)


class InMemoryEventLog:
    """`orchestration.ports.EventLog` and `EventConsumer`; retention and idle times are by the given clock."""

    def __init__(self, clock: Clock, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._partitions: defaultdict[tuple[str, int], _Partition] = defaultdict(_Partition)
        self._arrived = asyncio.Event()

    async def append(self, topic: Topic, entries: Sequence[tuple[int, bytes]]) -> None:
        """Append in order, and wake the readers."""
        now_ms = self._clock.now_ms()
        for key, payload in entries:
            number = partition_of(key, topic)
            partition = self._partitions[topic.name, number]
            partition.appended += 1
            entry = LogEntry(number, b"%d" % partition.appended, payload)
            partition.kept.append(_Kept(partition.appended, entry, now_ms))
        self._arrived.set()

    async def read(
        self, subscription: Subscription, *, max_entries: int, block_ms: int = 0
    ) -> list[LogEntry]:
        """New entries for the group; waits for the first one for at most `block_ms`."""
        found = self._give(subscription, max_entries)
        if found or block_ms <= 0:
            return found
        try:
            async with asyncio.timeout(block_ms / 1000):
                while not found:
                    self._arrived.clear()
                    await self._arrived.wait()
                    found = self._give(subscription, max_entries)
        except TimeoutError:
            return []
        return found

    async def claim(self, subscription: Subscription, *, idle_ms: int, max_entries: int) -> list[LogEntry]:
        """Entries given out at least `idle_ms` ago."""
        now = self._clock.monotonic()
        share = max(1, max_entries // subscription.topic.partitions)
        claimed: list[LogEntry] = []
        for partition, group in self._groups(subscription):
            idle = [number for number, since in group.pending.items() if (now - since) * 1000 >= idle_ms]
            taken = set(sorted(idle)[:share])
            group.pending.update(dict.fromkeys(taken, now))
            claimed += (kept.entry for kept in partition.kept if kept.number in taken)
        return claimed

    async def ack(self, subscription: Subscription, entries: Sequence[LogEntry]) -> None:
        """The group is done with these."""
        groups = [group for _, group in self._groups(subscription)]
        for entry in entries:
            groups[entry.partition].pending.pop(int(entry.entry_id), None)

    async def lag(self, group: str, topic: Topic) -> int:
        """Entries that the group has yet to ack."""
        total = 0
        for number in range(topic.partitions):
            partition = self._partitions[topic.name, number]
            known = partition.groups.get(group) or _Group()
            total += len(known.pending) + sum(kept.number > known.given for kept in partition.kept)
        return total

    async def trim(self, topics: Sequence[Topic]) -> int:
        """Remove old and surplus entries that no group needs."""
        now_ms = self._clock.now_ms()
        partitions = [
            (self._partitions[topic.name, number], topic.retention_ms)
            for topic in topics
            for number in range(topic.partitions)
        ]
        total = sum(len(kept.entry.payload) for partition, _ in partitions for kept in partition.kept)
        excess = max(0.0, 1 - self._max_bytes / total) if total else 0.0
        return sum(_trim(partition, now_ms - retention, excess) for partition, retention in partitions)

    def _give(self, subscription: Subscription, max_entries: int) -> list[LogEntry]:
        now = self._clock.monotonic()
        share = max(1, max_entries // subscription.topic.partitions)
        given: list[LogEntry] = []
        for partition, group in self._groups(subscription):
            new = [kept for kept in partition.kept if kept.number > group.given][:share]
            if new:
                group.given = new[-1].number
                group.pending.update((kept.number, now) for kept in new)
                given += (kept.entry for kept in new)
        return given

    def _groups(self, subscription: Subscription) -> Iterator[tuple[_Partition, _Group]]:
        """Each partition with the group's knowledge of it; the group is made where it is new."""
        for number in range(subscription.topic.partitions):
            partition = self._partitions[subscription.topic.name, number]
            yield partition, partition.groups.setdefault(subscription.group, _Group())


def _trim(partition: _Partition, cutoff_ms: int, excess: float) -> int:
    needed = partition.needed_from()
    surplus = int(len(partition.kept) * excess)
    removed = 0
    for index, kept in enumerate(partition.kept):
        is_unwanted = kept.at_ms < cutoff_ms or index < surplus
        if not is_unwanted or kept.number >= needed:
            break
        removed += 1
    del partition.kept[:removed]
    return removed
