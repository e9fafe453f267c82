"""Calls to other people's servers: beside the engine, so that one that drips a byte a second slows no other run.

A call is begun by whoever finds its run in ASKED, and its answer is collected by a lane of its own. A process that dies
forgets its calls; their runs are found in ASKED again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from clarion.journeys.model import Ask, Done

CALLS: Final = 256
"""Calls of one process at a time."""

CALLS_OF_TENANT: Final = 64
"""Of them those of one tenant: its slow servers leave room for others."""

WAITING: Final = 20_000
"""Calls that wait for their turn. What does not fit is asked for again later."""

GRACE_MS: Final = 5_000
"""How long after its time-out a call that was begun here is believed to be lost."""

Work: TypeAlias = Callable[[], Awaitable[Done]]


class Finished(msgspec.Struct, frozen=True):
    """An answer, and whose it is."""

    instance_id: bytes
    done: Done


class _Call(msgspec.Struct, frozen=True):
    ask: Ask
    work: Work


class SlowLane:
    """Bounded concurrency, fair between tenants. Of one effect one call is under way at a time."""

    def __init__(self, calls: int = CALLS, calls_of_tenant: int = CALLS_OF_TENANT) -> None:
        self._calls = calls
        self._calls_of_tenant = calls_of_tenant
        self._known: set[bytes] = set()
        self._waiting: dict[bytes, deque[_Call]] = {}
        self._running: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: deque[Finished] = deque()
        self._told = asyncio.Event()

    @property
    def under_way(self) -> int:
        """Calls that run or wait for their turn."""
        return len(self._known)

    def begin(self, ask: Ask, work: Work) -> bool:
        """Make this call when it is its turn, unless it is under way. False: there are too many."""
        if ask.effect_id in self._known:
            return True
        if len(self._known) >= WAITING:
            return False
        self._known.add(ask.effect_id)
        self._waiting.setdefault(ask.instance.tenant_id, deque()).append(_Call(ask, work))
        self._fill()
        return True

    async def collect(self, most: int, timeout_s: float) -> list[Finished]:
        """Answers that have come, at most so many; waits for the first of them no longer than `timeout_s`."""
        if not self._finished:
            self._told.clear()
            try:
                await asyncio.wait_for(self._told.wait(), timeout_s)
            except TimeoutError:
                return []
        return [self._finished.popleft() for _ in range(min(most, len(self._finished)))]

    async def close(self) -> None:
        """Give up all calls. Their runs are asked for again by whoever finds them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._waiting.clear()
        self._known.clear()

    def _fill(self) -> None:
        """Begin what there is room for, a tenant after the other."""
        while len(self._tasks) < self._calls:
            tenant_id = next(
                (t for t in self._waiting if self._running[t] < self._calls_of_tenant),
                None,
            )
            if tenant_id is None:
                return
            line = self._waiting.pop(tenant_id)
            call = line.popleft()
            if line:
                self._waiting[tenant_id] = line  # behind the others
            self._running[tenant_id] += 1
            task = asyncio.get_running_loop().create_task(self._run(call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, call: _Call) -> None:
        ask = call.ask
        try:
            done = await call.work()
        except Exception as error:  # noqa: BLE001  nobody awaits this: whatever went wrong, the run is to know
            done = Done(ask.step, ask.visit, ask.rung, error=type(error).__name__, final=True)
        finally:
            self._known.discard(ask.effect_id)
            tenant_id = ask.instance.tenant_id
            self._running[tenant_id] -= 1
            if not self._running[tenant_id]:
                del self._running[tenant_id]
            asyncio.get_running_loop().call_soon(self._fill)
        self._finished.append(Finished(ask.instance.instance_id, done))
        self._told.set()
