"""The life of one child: executed, awaited, executed again when it dies, stopped when asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from random import Random

from clarion.adapters.embedded.claim import Claim
from clarion.adapters.embedded.errors import StartFailed
from clarion.adapters.embedded.model import ChildEvent, ChildSpec, EventKind, Probe
from clarion.adapters.embedded.ports import is_free
from clarion.adapters.embedded.processes import Process, readable
from clarion.adapters.embedded.readiness import READY_VARIABLE

_FIRST_POLL = 0.005
_LAST_POLL = 0.1

Emit = Callable[[ChildEvent], None]


class Attempt:
    """One execution of a child's program."""

    def __init__(self, spec: ChildSpec) -> None:
        """Execute it. Raises OSError if that is impossible."""
        self._spec = spec
        self._pipe: int | None = None
        if spec.ready is not None:
            self.process = Process(spec.command)
            return
        self._pipe, theirs = os.pipe()
        try:
            self.process = Process(spec.command, extra={READY_VARIABLE: str(theirs)}, keep=(theirs,))
        except BaseException:
            self._close_pipe()
            raise
        finally:
            os.close(theirs)

    async def becomes_ready(self) -> bool:
        """True when the program serves; False when it has ended before that, by itself or for being too slow."""
        ended = asyncio.ensure_future(self.process.wait())
        serves = asyncio.ensure_future(self._serves(self._spec.ready))
        try:
            async with asyncio.timeout(self._spec.ready_within):
                await asyncio.wait({ended, serves}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.process.kill_group()
            await self.process.wait()
        finally:
            for task in (ended, serves):
                task.cancel()
            await asyncio.gather(ended, serves, return_exceptions=True)
            self._close_pipe()
        return self.process.exit_code is None and not serves.cancelled() and serves.result()

    async def _serves(self, probe: Probe | None) -> bool:
        if probe is None:
            return await self._told()
        pause = _FIRST_POLL
        while not await probe():
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LAST_POLL)
        return True

    async def _told(self) -> bool:
        """Wait for the word on the pipe. A pipe that is closed without it says nothing: then only the end counts."""
        if self._pipe is None:
            return False
        await readable(self._pipe)
        if os.read(self._pipe, 16):
            return True
        await self.process.wait()
        return False

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class Child:
    """Keeps one program running. `first_ready` is settled when it serves for the first time, or never will."""

    def __init__(self, spec: ChildSpec, claim: Claim, emit: Emit, random: Random) -> None:
        """Prepare; nothing is executed before `run`. Needs a running event loop."""
        self.spec = spec
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._claim = claim
        self._emit = emit
        self._random = random
        self._process: Process | None = None
        self._last_words = ""

    @property
    def pid(self) -> int | None:
        """The pid of the running program; None between two of them."""
        return self._process.pid if self._process and self._process.exit_code is None else None

    async def run(self) -> None:
        """Run until cancelled, or until the attempts of the first start are used up.

        Cancelling leaves the program running. Raises whatever `clean`, `recover` or the listener raises, unless the
        first start is still awaited: then `first_ready` has it.
        """
        try:
            await self._live()
        except Exception as error:
            if self.first_ready.done():
                raise
            self.first_ready.set_exception(error)

    async def stop(self, seconds: float) -> None:
        """End the program: its stop signal first, SIGKILL to its session after `seconds`. `run` must be over."""
        process = self._process
        if process is None or process.exit_code is not None:
            return
        process.send(self.spec.stop.sign)
        forced = False
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            forced = True
            process.kill_group()
            await process.wait()
            if self.spec.clean:
                await self.spec.clean()
        self._claim.forget(self.spec.name)
        self._tell(EventKind.STOPPED, detail="killed" if forced else "")

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        recovered = False
        while True:
            began = loop.time()
            served = await self._serve()
            if served and loop.time() - began >= self.spec.restart.forgiven_after:
                deaths = 0
            deaths += 1
            # A repair that did not help is not tried again at once: that would be a busy loop.
            recovered = not served and not recovered and await self._recover()
            if not recovered and not self.first_ready.done() and deaths >= self.spec.restart.start_attempts:
                code = self._process.exit_code if self._process else None
                self.first_ready.set_exception(StartFailed(self.spec.name, code, self._last_words))
                return
            delay = 0.0 if recovered else self.spec.restart.delay(deaths, self._random)
            last_line = self._last_words.rstrip().rpartition("\n")[2]
            self._tell(EventKind.DIED, delay=delay, detail=last_line)
            await asyncio.sleep(delay)

    async def _serve(self) -> bool:
        """Execute the program and return when it has ended: whether it ever served."""
        self._process = None
        if self.spec.clean:
            await self.spec.clean()
        if self.spec.port is not None and not is_free(self.spec.port):
            self._last_words = f"Error: port {self.spec.port} is used by another program"
            return False
        try:
            attempt = Attempt(self.spec)
        except OSError as error:
            self._last_words = str(error)
            return False
        self._process = process = attempt.process
        if identity := process.identity():
            self._claim.record(self.spec, identity)
        self._tell(EventKind.STARTED)
        served = await attempt.becomes_ready()
        if served:
            self._tell(EventKind.RESTARTED if self.first_ready.done() else EventKind.READY)
            if not self.first_ready.done():
                self.first_ready.set_result(None)
        await process.wait()
        self._claim.forget(self.spec.name)
        self._last_words = process.log_tail()
        return served

    async def _recover(self) -> bool:
        if self.spec.recover is None:
            return False
        repair = await self.spec.recover(self._last_words)
        if repair is None:
            return False
        self._tell(EventKind.RECOVERED, detail=repair)
        return True

    def _tell(self, kind: EventKind, *, delay: float | None = None, detail: str = "") -> None:
        pid = self._process.pid if self._process else None
        code = self._process.exit_code if self._process else None
        self._emit(ChildEvent(kind, self.spec.name, pid, code, delay, detail))
