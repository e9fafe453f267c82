"""Any order of enqueues, claims, acks, deaths, expired leases, wipes and repairs, against a plain model.

Found wrong would be: work lost, work invented, an item leased twice, an acked item that comes back, a tenant's order
broken, a tenant or a class kept waiting beyond its bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from clarion.adapters.valkey.client import connect
from clarion.contracts.work import URGENT_PRIORITY, WorkItem
from clarion.testing.queue import FLOOR_PERCENT, LINE_TARGET, QUANTUM, SMALL_CLAIM
from clarion.testing.queue_worlds import FakeWorld, QueueWorld, ValkeyWorld
from clarion.testing.valkey_servers import valkey_server

T = TypeVar("T")

CHANNEL = "push"
MINUTE_MS = 60_000
TENANTS = tuple(bytes([n]) * 16 for n in range(1, 5))
WORKERS = (0, 1)
EVERYTHING = 5000

priorities = st.sampled_from([0, 2, 3, 4, 5, 9, 10])
delays = st.sampled_from([0, 0, 0, 20 * MINUTE_MS, 40 * MINUTE_MS])
groups = st.lists(
    st.tuples(st.sampled_from(TENANTS), priorities, st.sampled_from([1, 3, 12, 700])), min_size=1, max_size=3
)


@dataclass
class Placed:
    """How an item stood when it joined its tenant's line: what may be served before it follows from that."""

    line: int
    own_rank: int
    others_served: int


@dataclass
class Due:
    """When an item is due: in the model's time, and exactly, which is what orders items of one minute."""

    due_ms: int
    exact_ms: int


@dataclass
class Model:
    """What is where. Time is virtual: it only moves when the machine says so."""

    now_ms: int = 0
    items: dict[bytes, WorkItem] = field(default_factory=dict[bytes, WorkItem])
    lines: dict[tuple[bytes, int], list[bytes]] = field(
        default_factory=lambda: defaultdict[tuple[bytes, int], list[bytes]](list)
    )
    returned: set[bytes] = field(
        default_factory=set[bytes]
    )  # back from a lease: ahead of the line, in any order
    scheduled: dict[bytes, Due] = field(default_factory=dict[bytes, Due])
    leased: dict[bytes, int] = field(default_factory=dict[bytes, int])
    copies: dict[bytes, int] = field(
        default_factory=dict[bytes, int]
    )  # queued more than once: at most so often
    concluded: set[bytes] = field(default_factory=set[bytes])
    placed: dict[bytes, Placed] = field(default_factory=dict[bytes, Placed])
    served: Counter[tuple[bytes, int]] = field(default_factory=Counter[tuple[bytes, int]])

    def place(self, ids: Iterable[bytes], line_lengths: Sequence[int]) -> None:
        """Items join their lines, which were so long."""
        for ident in ids:
            item = self.items[ident]
            if ident in self.copies:
                self.copies[ident] += 1
                continue
            own = self.lines[item.tenant_id, item.priority]
            line = max(line_lengths[item.priority], LINE_TARGET)
            self.placed[ident] = Placed(line, len(own), self.served_to_others(item))
            own.append(ident)

    def take(self, ident: bytes) -> None:
        """A claim gave this item: it must have been there, and at the head of its line."""
        item = self.items[ident]
        assert ident not in self.leased, "leased twice"
        if ident in self.copies:
            assert self.copies[ident] > 0, "more copies than were queued"
            self.copies[ident] -= 1
            return
        assert ident not in self.concluded, "acked, and came back"
        if ident in self.returned:
            self.returned.remove(ident)
            return
        own = self.lines[item.tenant_id, item.priority]
        assert own, "invented"
        assert own.pop(0) == ident, "out of order"
        if not self.copies:  # copies are served without being counted
            self._check_fairness(item)
        self.served[item.tenant_id, item.priority] += 1

    def _check_fairness(self, item: WorkItem) -> None:
        placed = self.placed.pop(item.delivery_id)
        overtaken = self.served_to_others(item) - placed.others_served
        turns = placed.own_rank // QUANTUM + 2
        assert overtaken <= placed.line + turns * QUANTUM * (len(TENANTS) - 1), (
            "kept waiting by other tenants"
        )

    def served_to_others(self, item: WorkItem) -> int:
        """Items of this priority that other tenants have had."""
        return sum(self.served[tenant, item.priority] for tenant in TENANTS if tenant != item.tenant_id)

    def waiting(self) -> Counter[int]:
        """How many are in line or backlog, by priority. Only exact while nothing is queued twice."""
        count = Counter(self.items[ident].priority for ident in self.returned)
        for (_, priority), line in self.lines.items():
            count[priority] += len(line)
        return count

    def come_back(self, ids: Iterable[bytes]) -> None:
        """Leases ended."""
        for ident in ids:
            del self.leased[ident]
            if ident in self.copies:
                self.copies[ident] += 1
            else:
                self.returned.add(ident)

    def duplicate(self, ident: bytes) -> None:
        """The sweeper queues an open item that is still known: from now on only its copies are counted."""
        item = self.items[ident]
        if ident not in self.copies:
            own = self.lines[item.tenant_id, item.priority]
            self.copies[ident] = int(ident in own or ident in self.returned)
            self.returned.discard(ident)
            if ident in own:
                own.remove(ident)
        self.copies[ident] += 1

    def open_ids(self) -> list[bytes]:
        """All that must not be lost, in the order of creation."""
        return sorted(self.items.keys() - self.concluded)


class Stage(RuleBasedStateMachine):
    """A queue, its model, and what all who act on it share."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self.closing = contextlib.AsyncExitStack()
        self.world = self.run(self.open_world())
        self.queues = (self.world.queue, self.world.another())
        self.model = Model()
        self.held: dict[int, list[WorkItem]] = {worker: [] for worker in WORKERS}

    async def open_world(self) -> QueueWorld:
        """The queue to try; what it needs closed goes on `closing`."""
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _put(self, items: list[WorkItem], delay: int) -> None:
        batch = self._due_in(items, delay)
        lengths = self._line_lengths()
        self.run(self.world.queue.enqueue(batch))
        self._was_put(batch, delay, lengths)

    def _due_in(self, items: list[WorkItem], delay: int) -> list[WorkItem]:
        due_ms = self.run(self.world.due_in(delay)) if delay else 0
        return [WorkItem(i.delivery_id, i.tenant_id, CHANNEL, i.priority, due_ms) for i in items]

    def _was_put(self, batch: list[WorkItem], delay: int, lengths: Sequence[int]) -> None:
        ids = [item.delivery_id for item in batch]
        if delay:
            exact_ms = batch[0].due_ms + self.world.moved_ms if batch else 0
            self.model.scheduled |= dict.fromkeys(ids, Due(self.model.now_ms + delay, exact_ms))
        else:
            self.model.place(ids, lengths)

    def _line_lengths(self) -> Sequence[int]:
        return self.run(self.world.queue.depths(CHANNEL)).queued


class Writers(Stage):
    """Accepts, cancellations, and a sweeper that queues again what is there already."""

    @rule(groups=groups, delay=delays)
    def enqueue(self, groups: list[tuple[bytes, int, int]], delay: int) -> None:
        self._put([self._new_item(tenant, p) for tenant, p, count in groups for _ in range(count)], delay)

    def _new_item(self, tenant: bytes, priority: int) -> WorkItem:
        ident = (len(self.model.items) + 1).to_bytes(16, "big")
        self.model.items[ident] = WorkItem(ident, tenant, CHANNEL, priority)
        return self.model.items[ident]

    @rule(data=st.data())
    def sweeper_queues_again_what_is_open(self, data: st.DataObject) -> None:
        leased = sorted(self.model.leased.keys() - self.model.concluded)
        pool = leased if leased and data.draw(st.booleans()) else self.model.open_ids()
        if not pool:
            return
        chosen = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True))
        self.run(self.world.queue.enqueue([self.model.items[ident] for ident in chosen]))
        for ident in chosen:
            self.model.duplicate(ident)

    @rule(data=st.data())
    def cancel_what_is_scheduled(self, data: st.DataObject) -> None:
        if not self.model.scheduled:
            return
        ident = data.draw(st.sampled_from(sorted(self.model.scheduled)))
        self.run(self.world.queue.remove([self.model.items[ident]]))
        del self.model.scheduled[ident]
        if ident not in self.model.leased:
            self.model.concluded.add(ident)


class Workers(Stage):
    """Two workers; the dead leave their leases behind, and zombies ack late."""

    @rule(
        worker=st.sampled_from(WORKERS),
        limit=st.sampled_from([1, 7, 20, 100, 1000]),
        lease_ms=st.sampled_from([20 * MINUTE_MS, 20 * MINUTE_MS, -1]),
        urgent_only=st.sampled_from([False, False, True]),
    )
    def claim(self, worker: int, limit: int, lease_ms: int, *, urgent_only: bool) -> None:
        waiting = self.model.waiting()
        claimed = self.run(
            self.queues[worker].claim(CHANNEL, limit, lease_ms=lease_ms, urgent_only=urgent_only)
        )
        for item in claimed:
            assert item == self.model.items[item.delivery_id]
            self.model.take(item.delivery_id)
            self.model.leased[item.delivery_id] = self.model.now_ms + lease_ms
        self.held[worker] += claimed
        assert len(claimed) <= limit
        if not self.model.copies:
            check_shares(Counter(item.priority for item in claimed), waiting, limit, urgent_only=urgent_only)

    @rule(worker=st.sampled_from(WORKERS), share=st.sampled_from([0.3, 1.0]))
    def ack(self, worker: int, share: float) -> None:
        """Also what it no longer holds: a zombie's acks are late."""
        done = self._drop(worker, share)
        self.run(self.queues[worker].ack(done))
        for item in done:
            if self.model.leased.pop(item.delivery_id, None) is not None:
                self.model.concluded.add(item.delivery_id)

    @rule(worker=st.sampled_from(WORKERS), share=st.sampled_from([0.3, 1.0]), delay=delays)
    def postpone(self, worker: int, share: float, delay: int) -> None:
        held = dict.fromkeys(
            item for item in self._drop(worker, share) if item.delivery_id in self.model.leased
        )
        batch = self._due_in(list(held), delay)
        lengths = self._line_lengths()
        self.run(self.queues[worker].postpone(batch))
        for item in batch:
            del self.model.leased[item.delivery_id]
        self._was_put(batch, delay, lengths)

    @rule(worker=st.sampled_from(WORKERS))
    def worker_dies(self, worker: int) -> None:
        self.held[worker] = []

    def _drop(self, worker: int, share: float) -> list[WorkItem]:
        held = self.held[worker]
        count = math.ceil(share * len(held))
        self.held[worker] = held[count:]
        return held[:count]


class Housekeepers(Stage):
    """Scheduler, reaper, feeder, the clock, and a sweeper that rebuilds a wiped Valkey."""

    @rule(span_ms=st.sampled_from([10 * MINUTE_MS, 30 * MINUTE_MS]))
    def time_passes(self, span_ms: int) -> None:
        self.run(self.world.advance(span_ms))
        self.model.now_ms += span_ms

    @rule(first=st.sampled_from([0, 3, EVERYTHING]))
    def reap(self, first: int) -> None:
        ended = [ident for ident, deadline in self.model.leased.items() if deadline <= self.model.now_ms]
        assert self.run(self.world.queue.reap(CHANNEL, first)) == min(first, len(ended))
        rest = 0
        while reaped := self.run(self.world.queue.reap(CHANNEL, EVERYTHING)):
            rest += reaped
        assert rest == len(ended) - min(first, len(ended))
        self.model.come_back(ended)

    @rule(limit=st.sampled_from([1, 50, EVERYTHING]))
    def promote(self, limit: int) -> None:
        due = [ident for ident, at in self.model.scheduled.items() if at.due_ms <= self.model.now_ms]
        due.sort(key=lambda ident: (self.model.scheduled[ident].exact_ms, ident))
        lengths = self._line_lengths()
        assert self.run(self.world.queue.promote(CHANNEL, limit)) == min(limit, len(due))
        for ident in due[:limit]:
            del self.model.scheduled[ident]
        self.model.place(due[:limit], lengths)

    @rule()
    def feed(self) -> None:
        self.run(self.world.queue.feed(CHANNEL))

    @rule()
    def valkey_is_wiped_and_rebuilt(self) -> None:
        """The sweeper queues all that is open, whoever works on it."""
        self.run(self.world.wipe())
        model = self.model
        remaining: dict[int, list[WorkItem]] = defaultdict(list)
        for ident in model.open_ids():
            due = model.scheduled.get(ident)
            remaining[max(0, due.due_ms - model.now_ms) if due else 0].append(model.items[ident])
        for lost in (model.lines, model.returned, model.leased, model.copies, model.placed, model.scheduled):
            lost.clear()
        for delay, items in remaining.items():
            self._put(items, delay)


class QueueMachine(Writers, Workers, Housekeepers):
    """All of them on one channel, in any order."""

    @invariant()
    def depths_are_the_models(self) -> None:
        depths = self.run(self.world.queue.depths(CHANNEL))
        assert depths.in_flight == len(self.model.leased)
        assert depths.scheduled == len(self.model.scheduled)
        if not self.model.copies:
            waiting = self.model.waiting()
            in_line = zip(depths.queued, depths.backlog, strict=True)
            assert [line + backlog for line, backlog in in_line] == [waiting[p] for p in range(11)]

    def teardown(self) -> None:
        """Everything open still comes."""
        try:
            self.run(self._drain())
        finally:
            self.run(self.closing.aclose())
            self._loop.close()

    async def _drain(self) -> None:
        queue = self.world.queue
        await self.world.advance(1000 * MINUTE_MS)
        while await queue.reap(CHANNEL, EVERYTHING) + await queue.promote(CHANNEL, EVERYTHING):
            pass
        seen: set[bytes] = set()
        while claimed := await queue.claim(CHANNEL, 1000, lease_ms=MINUTE_MS):
            seen |= {item.delivery_id for item in claimed}
            await queue.ack(claimed)
        missing = set(self.model.open_ids()) - seen
        assert not missing, f"{len(missing)} lost"
        assert seen <= set(self.model.open_ids()) | self.model.copies.keys(), "acked, and came back"


def check_shares(taken: Counter[int], waiting: Counter[int], limit: int, *, urgent_only: bool) -> None:
    """What a claim of `limit` may and must have taken, given what was waiting."""
    urgent_waiting = [waiting[p] for p in range(URGENT_PRIORITY + 1)]
    within_reach = sum(urgent_waiting) if urgent_only else waiting.total()
    assert taken.total() == min(limit, within_reach), "places stayed empty"
    for priority in range(URGENT_PRIORITY):
        if taken[priority] < waiting[priority]:
            assert not any(taken[p] for p in range(priority + 1, URGENT_PRIORITY + 1)), "urgent out of order"
    if urgent_only or limit < SMALL_CLAIM:
        return
    floor = math.ceil(limit * FLOOR_PERCENT / 100)
    for low, high in ((3, 4), (5, 7), (8, 10)):
        class_waiting = sum(waiting[p] for p in range(low, high + 1))
        class_taken = sum(taken[p] for p in range(low, high + 1))
        assert class_taken >= min(class_waiting, floor), "a class starves"
        if sum(taken[p] for p in range(URGENT_PRIORITY + 1)) < sum(urgent_waiting):
            assert class_taken <= floor, "urgent work waits for others"


class FakeMachine(QueueMachine):
    """On the fake."""

    async def open_world(self) -> QueueWorld:
        return FakeWorld()


def test_the_fake_keeps_its_promises() -> None:
    run_state_machine_as_test(
        FakeMachine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )


@pytest.fixture
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


def test_valkey_keeps_its_promises(server_url: str) -> None:
    class ValkeyMachine(QueueMachine):
        """On a server of its own, a region an example."""

        async def open_world(self) -> QueueWorld:
            clients = await connect(server_url)
            self.closing.push_async_callback(clients.close)
            return ValkeyWorld(clients, region=uuid.uuid4().hex)

    run_state_machine_as_test(
        ValkeyMachine, settings=settings(max_examples=15, stateful_step_count=30, deadline=None)
    )
