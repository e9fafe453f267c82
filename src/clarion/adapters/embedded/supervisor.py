"""Runs the children of one instance: starts them, restarts those that die, stops all of them in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from itertools import groupby
from random import Random, SystemRandom
from typing import Any, Self

from clarion.adapters.embedded.child import Child, Emit
from clarion.adapters.embedded.claim import Claim
from clarion.adapters.embedded.model import ChildEvent, ChildSpec

STOP_WITHIN = 28.0
"""Seconds for stopping everything: two less than the 30 s that `clarion up` promises after a SIGTERM."""


_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def _unheard(event: ChildEvent) -> None:
    """The default listener."""


class Supervisor:
    """The parent of all children of one claimed directory. An asynchronous context manager: leaving it stops them all.

    It belongs to the main thread and its event loop (see `Process`). `on_event` is called in that loop for each thing
    that happens to a child, in order; it must not block, and what it raises ends the supervision (see `crashed`).
    """

    def __init__(self, claim: Claim, on_event: Emit = _unheard, random: Random | None = None) -> None:
        """`random` is only for the jitter of restarts."""
        self.claim = claim
        self._on_event = on_event
        self._random = random or SystemRandom()
        self._children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._crash: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, *specs: ChildSpec) -> None:
        """Start children side by side and return when all of them serve.

        Raises StartFailed (the first one's) when one uses up its attempts; that one is not tried again, the others
        go on. A name can be started again only after such a failure; ValueError otherwise.
        """
        for spec in specs:
            if spec.name in self._children:
                raise ValueError(f"{spec.name} is supervised already")
        started = [self._launch(spec) for spec in specs]
        outcomes = await asyncio.gather(*(child.first_ready for child in started), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        for child, outcome in zip(started, outcomes, strict=True):
            if outcome is not None:
                del self._children[child.spec.name], self._tasks[child.spec.name]
        if failures:
            raise failures[0]

    def pid(self, name: str) -> int | None:
        """The pid of a child's program; None while there is none. Raises KeyError for an unknown child."""
        return self._children[name].pid

    async def crashed(self) -> None:
        """Never returns; raises when supervising itself fails (not a child), which no restart can mend."""
        await asyncio.shield(self._crash)

    async def stop(self, within: float = STOP_WITHIN) -> None:
        """Stop all children in the order of their plans, in `within` seconds at most; nothing is restarted any more.

        Each gets the seconds of its plan, or proportionally less if they do not fit. Calling it again does nothing.
        """
        await _cancel(*self._tasks.values())
        self._tasks.clear()
        children = sorted(self._children.values(), key=_order)
        self._children.clear()
        phases = [list(phase) for _, phase in groupby(children, key=_order)]
        needed = sum(max(child.spec.stop.seconds for child in phase) for phase in phases)
        share = min(1.0, within / needed) if needed else 1.0
        failures: list[BaseException] = []
        for phase in phases:
            stops = (child.stop(child.spec.stop.seconds * share) for child in phase)
            outcomes = await asyncio.gather(*stops, return_exceptions=True)
            failures.extend(outcome for outcome in outcomes if outcome is not None)
        if failures:
            raise failures[0]

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all."""
        await self.stop()

    def _launch(self, spec: ChildSpec) -> Child:
        child = Child(spec, self.claim, self._on_event, self._random)
        task = asyncio.create_task(child.run(), name=f"supervise-{spec.name}")
        task.add_done_callback(self._note_crash)
        self._children[spec.name] = child
        self._tasks[spec.name] = task
        return child

    def _note_crash(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._crash.done():
            self._crash.set_exception(error)


def _order(child: Child) -> int:
    return child.spec.stop.order


async def supervise(supervisor: Supervisor, main: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Run an instance: `main` starts its children; all are supervised until SIGTERM or SIGINT, then stopped.

    A signal during `main` cancels it. Returns after a signal; raises what `main` or the supervision raised, after
    everything has been stopped.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for sign in _STOP_SIGNALS:
        loop.add_signal_handler(sign, asked.set)
    try:
        async with supervisor:
            crash = asyncio.ensure_future(supervisor.crashed())
            await _until(asked, asyncio.ensure_future(main(supervisor)), crash)
    finally:
        for sign in _STOP_SIGNALS:
            loop.remove_signal_handler(sign)


async def _until(asked: asyncio.Event, main: asyncio.Future[None], crash: asyncio.Future[None]) -> None:
    """Wait for `asked`, whether `main` is over or not; raise what `main` or `crash` raises."""
    stop = asyncio.ensure_future(asked.wait())
    waiting: set[asyncio.Future[Any]] = {main, crash, stop}
    try:
        while not stop.done():
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in done - {stop}:
                future.result()
            waiting -= done
    finally:
        await _cancel(main, crash, stop)


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    """Cancel and wait until each has come to its end, whatever that is."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
