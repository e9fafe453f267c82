"""The work queue in memory: the same answers as `adapters.valkey.queue`, by the same conformance suite.

Its clock is the test's: what is scheduled falls due, and leases end, when the test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from clarion.contracts.channels import CHANNELS
from clarion.contracts.work import (
    LOWEST_PRIORITY,
    URGENT_PRIORITY,
    QueueDepths,
    WorkItem,
    pack_entry,
    unpack_entry,
)
from clarion.kernel.errors import Transient
from clarion.kernel.ids import created_ms

LINE_TARGET: Final = 500
QUANTUM: Final = 10
HERD: Final = 10_000
HERD_SPREAD_MS: Final = 60_000
FLOOR_PERCENT: Final = 5
SMALL_CLAIM: Final = 20

_PRIORITIES: Final = range(LOWEST_PRIORITY + 1)
_URGENT: Final = range(URGENT_PRIORITY + 1)
_CLASSES: Final = (
    ("high", 80, {3: 60, 4: 40}),
    ("middle", 15, {5: 50, 6: 30, 7: 20}),
    ("low", 5, {8: 50, 9: 30, 10: 20}),
)


@dataclass
class _Slot:
    """A class or a priority that waits for places. `credit` is in hundredths of a place."""

    weight: int
    available: int
    credit: int = 0
    floor: int = 0
    gain: int = 0
    take: int = 0


def _apportion(places: int, slots: Sequence[_Slot]) -> None:
    """Divide places by weight, floors first kept; what a slot cannot use flows down, then up."""
    reserved, left, carried = sum(slot.floor for slot in slots), places, 0
    for slot in slots:
        reserved -= slot.floor
        slot.credit += max(slot.gain, slot.weight * places)
        share = max(slot.floor, slot.credit // 100 + carried)
        slot.take = max(0, min(share, slot.available, left - reserved))
        carried = share - slot.take
        left -= slot.take
    for slot in slots:
        more = min(slot.available - slot.take, left)
        slot.take += more
        left -= more
        slot.credit = min(max(slot.credit - 100 * slot.take, 0), 100) if slot.take < slot.available else 0


class _Channel:
    """One channel's lines, backlogs, schedule and leases."""

    def __init__(self) -> None:
        self.lines: list[deque[bytes]] = [deque() for _ in _PRIORITIES]
        self.backlogs: list[OrderedDict[bytes, deque[bytes]]] = [  # tenants in the order of their turns
            OrderedDict() for _ in _PRIORITIES
        ]
        self.rest_of_turn = [0 for _ in _PRIORITIES]
        self.scheduled: dict[bytes, int] = {}
        self.leases: dict[bytes, int] = {}
        self.credit: dict[str | int, int] = {}
        self.weights: dict[bytes, int] = {}
        self.wake = {False: asyncio.Event(), True: asyncio.Event()}

    def note_work(self, priority: int) -> None:
        self.wake[False].set()
        if priority <= URGENT_PRIORITY:
            self.wake[True].set()

    def place(self, entries: Iterable[bytes]) -> None:
        """Put due entries in line, or into backlogs where a line is full or others wait."""
        room = {p: 0 if self.backlogs[p] else max(0, LINE_TARGET - len(self.lines[p])) for p in _PRIORITIES}
        for entry in entries:
            priority = entry[32]
            self.note_work(priority)
            if room[priority]:
                room[priority] -= 1
                self.lines[priority].append(entry)
            else:
                self.backlogs[priority].setdefault(entry[16:32], deque()).append(entry)

    def feed(self, priority: int, target: int) -> int:
        """Move backlog into a line until it holds `target`, tenants in turn; how many moved."""
        line, ring = self.lines[priority], self.backlogs[priority]
        before = len(line)
        while ring and len(line) < target:
            tenant, backlog = next(iter(ring.items()))
            room = target - len(line)
            turn = self.rest_of_turn[priority] or QUANTUM * self.weights.get(tenant, 1)
            turn = turn if len(ring) > 1 else max(turn, room)
            moved = min(turn, room, len(backlog))
            line.extend([backlog.popleft() for _ in range(moved)])
            self.rest_of_turn[priority] = turn - moved if backlog else 0
            if not backlog:
                del ring[tenant]
            elif moved == turn:
                ring.move_to_end(tenant)
        return len(line) - before

    def schedule(self, due: Sequence[tuple[bytes, int]]) -> None:
        herds: dict[int, int] = {}
        for entry, due_ms in due:
            second = due_ms // 1000
            if second not in herds:
                herds[second] = sum(other // 1000 == second for other in self.scheduled.values())
            herds[second] += 1
            late = herds[second] > HERD and entry[32] > URGENT_PRIORITY
            self.scheduled[entry] = due_ms + late * (int.from_bytes(entry[11:14], "big") % HERD_SPREAD_MS)

    def pop_until(self, timed: dict[bytes, int], limit: int, now_ms: int) -> list[bytes]:
        """Take up to `limit` entries whose time has come out of a schedule or lease table, the earliest first."""
        ready = sorted((at, entry) for entry, at in timed.items() if at <= now_ms)[:limit]
        for _, entry in ready:
            del timed[entry]
        return [entry for _, entry in ready]

    def plan(self, limit: int, *, urgent_only: bool) -> dict[int, int]:
        """How many of each priority a claim of `limit` takes."""
        waiting = {p: len(self.lines[p]) for p in _PRIORITIES}
        classes = [
            _Slot(weight, sum(waiting[p] for p in inner), self.credit.get(name, 0))
            for name, weight, inner in _CLASSES
        ]
        kept = 0
        for slot in () if urgent_only else reversed(classes):
            slot.gain = FLOOR_PERCENT * limit
            floor = math.ceil(slot.gain / 100) if limit >= SMALL_CLAIM else (slot.credit + slot.gain) // 100
            slot.floor = min(floor, slot.available, limit - kept)
            kept += slot.floor
        take: dict[int, int] = {}
        for priority in _URGENT:
            take[priority] = min(waiting[priority], limit - kept - sum(take.values()))
        if not urgent_only:
            _apportion(limit - sum(take.values()), classes)
            for slot, (name, _, inner) in zip(classes, _CLASSES, strict=True):
                self.credit[name] = slot.credit
                slots = {p: _Slot(w, waiting[p], self.credit.get(p, 0)) for p, w in inner.items()}
                _apportion(slot.take, list(slots.values()))
                take |= {p: inner_slot.take for p, inner_slot in slots.items()}
                self.credit |= {p: inner_slot.credit for p, inner_slot in slots.items()}
        return take


@dataclass
class QueueStore:
    """Where the queue's data is. While `is_away` is set every call raises Transient, as with a Valkey that is gone."""

    is_away: bool = False
    is_marked: bool = False
    channels: dict[str, _Channel] = field(default_factory=dict[str, _Channel])

    def of(self, channel: str) -> _Channel:
        """A channel's data."""
        self.reach()
        return self.channels.setdefault(channel, _Channel())

    def reach(self) -> None:
        """Raise Transient if the store is away."""
        if self.is_away:
            detail = "the queue is away, because the test said so"
            raise Transient(detail)

    def wipe(self) -> None:
        """Lose everything, as a Valkey whose data directory is gone."""
        self.channels.clear()
        self.is_marked = False


@dataclass
class InMemoryQueue:
    """WorkSource, WorkSink and all else that `ValkeyQueue` is. `now_ms` is the store's clock, in UTC milliseconds."""

    now_ms: Callable[[], int]
    store: QueueStore = field(default_factory=QueueStore)

    async def enqueue(self, items: Sequence[WorkItem]) -> None:
        """Queue items now, or for their time."""
        now = self.now_ms()
        for name in dict.fromkeys(item.channel for item in items):
            channel = self.store.of(name)
            batch = [(pack_entry(item), item.due_ms) for item in items if item.channel == name]
            channel.place(entry for entry, due_ms in batch if due_ms <= now)
            channel.schedule([(entry, due_ms) for entry, due_ms in batch if due_ms > now])

    async def claim(
        self, channel: str, limit: int, *, lease_ms: int, urgent_only: bool = False
    ) -> list[WorkItem]:
        """Up to `limit` due items, leased for `lease_ms`."""
        state, claimed = self.store.of(channel), list[bytes]()
        if limit <= 0:
            return []
        for priority in _URGENT if urgent_only else _PRIORITIES:
            state.feed(priority, limit)
        for priority, count in state.plan(limit, urgent_only=urgent_only).items():
            claimed += [state.lines[priority].popleft() for _ in range(count)]
            if state.lines[priority] or state.backlogs[priority]:
                state.note_work(priority)
        fresh = [entry for entry in dict.fromkeys(claimed) if entry not in state.leases]
        state.leases |= dict.fromkeys(fresh, self.now_ms() + lease_ms)
        return [unpack_entry(entry, channel) for entry in fresh]

    async def ack(self, items: Sequence[WorkItem]) -> None:
        """Forget claimed items."""
        for item in items:
            self.store.of(item.channel).leases.pop(pack_entry(item), None)

    async def postpone(self, items: Sequence[WorkItem]) -> None:
        """Ack the items and queue them again."""
        await self.ack(items)
        await self.enqueue(items)

    async def wait(self, channel: str, timeout_s: float, *, urgent_only: bool = False) -> None:
        """Return when work may be there."""
        wake = self.store.of(channel).wake[urgent_only]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await wake.wait()
        wake.clear()

    async def promote(self, channel: str, limit: int) -> int:
        """Put scheduled items that are due in line; how many."""
        state = self.store.of(channel)
        due = state.pop_until(state.scheduled, limit, self.now_ms())
        state.place(due)
        return len(due)

    async def feed(self, channel: str) -> int:
        """Fill the lines from the backlogs; how many moved."""
        return sum(self.store.of(channel).feed(priority, LINE_TARGET) for priority in _PRIORITIES)

    async def ended(self, channel: str, limit: int) -> list[WorkItem]:
        """Items whose lease has ended, oldest first."""
        now, leases = self.now_ms(), self.store.of(channel).leases
        entries = sorted((until_ms, entry) for entry, until_ms in leases.items() if until_ms <= now)
        return [unpack_entry(entry, channel) for _, entry in entries[:limit]]

    async def reap(self, channel: str, limit: int) -> int:
        """Bring items whose lease has ended to the heads of their lines; how many."""
        state = self.store.of(channel)
        ended = state.pop_until(state.leases, limit, self.now_ms())
        for entry in reversed(ended):
            state.lines[entry[32]].appendleft(entry)
            state.note_work(entry[32])
        return len(ended)

    async def remove(self, items: Sequence[WorkItem]) -> None:
        """Take items out of the schedule."""
        for item in items:
            self.store.of(item.channel).scheduled.pop(pack_entry(item), None)

    async def depths(self, channel: str) -> QueueDepths:
        """How full the channel's structures are."""
        state, now = self.store.of(channel), self.now_ms()
        heads = [created_ms(line[0]) for line in state.lines if line]
        return QueueDepths(
            queued=tuple(len(line) for line in state.lines),
            backlog=tuple(sum(map(len, ring.values())) for ring in state.backlogs),
            scheduled=len(state.scheduled),
            in_flight=len(state.leases),
            overdue_ms=max(0, now - min(state.scheduled.values(), default=now)),
            oldest_ms=max(0, now - min(heads, default=now)),
        )

    async def weigh(self, tenant_id: bytes, weight: int) -> None:
        """Give a tenant longer turns."""
        for channel in CHANNELS:
            self.store.of(channel).weights[tenant_id] = max(1, weight)

    async def holds_marker(self) -> bool:
        """Whether the queue was marked and not wiped since."""
        self.store.reach()
        return self.store.is_marked

    async def mark(self) -> None:
        """Say that the queue holds all open work."""
        self.store.reach()
        self.store.is_marked = True
