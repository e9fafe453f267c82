"""Dispatching with care: no delivery stops the others, whatever it does to the worker that takes it.

    claimed ─▶ suspects? ─ none ─▶ dispatch
                   └ some ─▶ the others first ─▶ (trial begins ─▶ dispatch ─▶ trial ends) a group, or one, at a time
                                                                  └ the worker dies: counted by whoever comes next

While there is no suspect in the region, nothing is asked and nothing is written (`Quarantine.is_empty`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from clarion.contracts.work import WorkItem
from clarion.delivery.dispatch import AGAIN_MS, dispatch
from clarion.delivery.ports import SuspectStore
from clarion.delivery.record import CONCLUDE_PATIENCE_S
from clarion.delivery.run import DispatchPorts, Report
from clarion.delivery.suspects import FIRST_WAIT_MS, MAX_DELIVERIES, describe_error, plan_trials, wait_ms
from clarion.kernel.errors import Transient

BURY_WAIT_MS: Final = 5_000
"""How soon a delivery that is beyond hope is offered again where it could not be buried: its lease still runs."""

SETTLED_S: Final = 10.0
"""How long a process lives before it makes last trials.

What kills workers from outside (a deploy, the kernel short of memory) often does so again soon, and must not be held
against the delivery that happens to be alone at that moment: ten kills in 30 s made four dead letters of innocents.
"""


class Handled(msgspec.Struct):
    """What came of a claim: the reports of its dispatches, errors of ours in words, and dead letters by reason."""

    reports: list[Report] = []
    errors: list[str] = []
    dead: dict[str, int] = {}


class Quarantine:
    """What one process knows of suspects, and what it has under way itself.

    `trial_ms`: how long a trial may take before others hold its process for dead. `settled_s`: from when on, on the
    monotonic clock, it makes last trials.
    """

    def __init__(self, store: SuspectStore, *, trial_ms: int, settled_s: float = 0.0) -> None:
        self._store = store
        self._trial_ms = trial_ms
        self._settled_s = settled_s
        self._under_way: set[bytes] = set()
        # One last trial at a time: when the worker dies over it, nothing else is on its last.
        self._alone = asyncio.Lock()
        self.is_empty = False

    async def refresh(self) -> None:
        """Ask whether there are suspects. Until the first answer there may be. Raises Transient."""
        self.is_empty = not await self._store.any_suspects()

    async def note_lost(self, items: Sequence[WorkItem], *, claimed: bool) -> None:
        """Remember deliveries that a dead worker held. What this process has under way itself is not lost.

        `claimed`: their claims ended without a word. Else only those count whose attempt began and has no end.
        Raises Transient: then they must not be offered again.
        """
        lost = [item.delivery_id for item in items if item.delivery_id not in self._under_way]
        if lost:
            await self._store.note_lost(lost, claimed=claimed)
            self.is_empty = False

    async def handle(self, items: Sequence[WorkItem], ports: DispatchPorts) -> Handled:
        """Take claimed items as far as they go now, suspects with care. Raises Transient as `dispatch` does."""
        ids = {item.delivery_id for item in items}
        self._under_way |= ids
        handled = Handled()
        try:
            if self.is_empty:
                await self._dispatch(items, ports, handled)
            else:
                await self._sort(items, ports, handled)
        finally:
            self._under_way -= ids
        return handled

    async def _sort(self, items: Sequence[WorkItem], ports: DispatchPorts, handled: Handled) -> None:
        """Dispatch what is free, then the suspects. Where a store is away, what was not begun is offered again."""
        left = {item.delivery_id: item for item in items}
        try:
            found = await self._store.suspects(list(left))
            free = [left.pop(item.delivery_id) for item in items if item.delivery_id not in found]
            if free:
                await self._dispatch(free, ports, handled)
            held = [s for s in found.values() if s.held_until_ms]
            await _postpone([replace(left.pop(s.delivery_id), due_ms=s.held_until_ms) for s in held], ports)
            trials = plan_trials(s for s in found.values() if not s.held_until_ms)
            await self._bury([left[i] for i in trials.hopeless], ports, handled)
            for group in trials.groups:
                await self._try([left[i] for i in group], ports, handled)
                left = {i: item for i, item in left.items() if i not in group}
            unsettled_s = self._settled_s - ports.clock.monotonic()
            if unsettled_s > 0:
                due_ms = ports.clock.now_ms() + math.ceil(unsettled_s * 1000)
                await _postpone([replace(left.pop(ident), due_ms=due_ms) for ident in trials.alone], ports)
                return
            for ident in trials.alone:
                async with self._alone:
                    await self._try([left[ident]], ports, handled)
                del left[ident]
        except Transient:
            due_ms = ports.clock.now_ms() + AGAIN_MS
            with contextlib.suppress(Transient):
                await _postpone([replace(item, due_ms=due_ms) for item in left.values()], ports)
            raise

    async def _try(self, items: Sequence[WorkItem], ports: DispatchPorts, handled: Handled) -> None:
        if ports.stopping():
            await _postpone([replace(item, due_ms=ports.clock.now_ms()) for item in items], ports)
            return
        begun = await self._store.begin_trials([item.delivery_id for item in items], trial_ms=self._trial_ms)
        mine = [item for item in items if item.delivery_id in begun]
        theirs = [item for item in items if item.delivery_id not in begun]
        later_ms = ports.clock.now_ms() + self._trial_ms
        await _postpone([replace(item, due_ms=later_ms) for item in theirs], ports)
        if not mine:
            return
        try:
            await self._dispatch(mine, ports, handled)
        finally:
            await self._end(begun, ports)

    async def _end(self, ids: Collection[bytes], ports: DispatchPorts) -> None:
        """The worker lives, which must become known however long Postgres is away: else it counts as a crash."""
        give_up = ports.clock.monotonic() + CONCLUDE_PATIENCE_S
        while True:
            try:
                return await self._store.end_trials(ids)
            except Transient:
                if ports.clock.monotonic() > give_up:
                    raise
                await ports.pause(0.25 + ports.random())

    async def _dispatch(self, items: Sequence[WorkItem], ports: DispatchPorts, handled: Handled) -> None:
        try:
            ports.watcher.taken(items)
            handled.reports.append(await dispatch(items, ports))
        except Transient:
            raise
        except Exception as error:  # noqa: BLE001  one delivery's defect must not stop the others: it is counted
            await self._strike(items, error, ports, handled)

    async def _strike(
        self, items: Sequence[WorkItem], error: Exception, ports: DispatchPorts, handled: Handled
    ) -> None:
        """This claim came to nothing. What is still open is tried again, later each time, and at last buried."""
        described = describe_error(error)
        handled.errors.append(described)
        now_ms = ports.clock.now_ms()
        try:
            counts = await self._store.strike([item.delivery_id for item in items], described)
        except Transient:
            await _postpone([replace(item, due_ms=now_ms + FIRST_WAIT_MS) for item in items], ports)
            raise
        self.is_empty = False
        again = [
            replace(item, due_ms=now_ms + wait_ms(counts[item.delivery_id]))
            for item in items
            if 0 < counts.get(item.delivery_id, 0) < MAX_DELIVERIES
        ]
        await _postpone(again, ports)
        hopeless = [item for item in items if counts.get(item.delivery_id, 0) >= MAX_DELIVERIES]
        await self._bury(hopeless, ports, handled)
        await ports.queue.ack([item for item in items if item.delivery_id not in counts])

    async def _bury(self, items: Sequence[WorkItem], ports: DispatchPorts, handled: Handled) -> None:
        if not items:
            return
        reasons = await self._store.bury([item.delivery_id for item in items], ports.clock.now_ms())
        for reason in reasons.values():
            handled.dead[reason] = handled.dead.get(reason, 0) + 1
        await ports.queue.ack([item for item in items if item.delivery_id in reasons])
        later_ms = ports.clock.now_ms() + BURY_WAIT_MS
        await _postpone(
            [replace(item, due_ms=later_ms) for item in items if item.delivery_id not in reasons], ports
        )


async def _postpone(items: Sequence[WorkItem], ports: DispatchPorts) -> None:
    if items:
        await ports.queue.postpone(items)
