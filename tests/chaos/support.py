"""What the chaos tests share: the sends in flight, and the measure of a fault."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Final

from clarion.delivery.model import Capabilities
from clarion.settings import Settings
from clarion.testing.smtp import Fault, SinkReport
from tests.live.fixtures import Live

LANES: Final = Settings.model_fields["dispatch_loops"].default + 1
"""Batches that one worker has under way on a channel: its general lanes, and the one for urgent work."""

IN_FLIGHT: Final = LANES * Capabilities("email").concurrency
"""The most sends that one worker has begun on an account and not recorded: what a crash of it can double."""


def slow(milliseconds: int) -> Fault:
    """Every message is taken, and its sender waits this long to hear so: time for something to happen in between."""
    return Fault("end", "delay", delay_ms=milliseconds, accepted=True)


@dataclass
class Measure:
    """One row of the table of faults. Made when the fault begins; `recovered` is told of the last arrival."""

    fault: str
    n: int
    lost: int = 0
    duplicated: int = 0
    bound: int = 0
    recovery_s: float = 0.0
    _began: float = field(default_factory=time.monotonic, repr=False)

    def recovered(self) -> None:
        """All that was to arrive has arrived."""
        self.recovery_s = round(time.monotonic() - self._began, 1)

    def settle(self, report: SinkReport) -> None:
        """Judge: nothing lost, and no more duplicates than the bound."""
        self.lost = self.n - report.distinct
        self.duplicated = report.duplicates
        assert self.lost == 0, report
        assert self.duplicated <= self.bound, report

    def row(self) -> dict[str, object]:
        """The figures, for the table."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


Measuring = Callable[..., Measure]


class Mortal:
    """A worker on the instance's stores that lives again at once after each death: its supervisor would wait longer."""

    def __init__(self, live: Live) -> None:
        self._environment = live.instance.environment_of("worker") | {"CLARION_METRICS_PORT": "0"}
        self._environment.pop("CLARION_READY_FD", None)
        self._process: asyncio.subprocess.Process | None = None

    async def live(self) -> None:
        """Begin a life."""
        command = (sys.executable, "-m", "clarion.entrypoints.workers.main")
        self._process = await asyncio.create_subprocess_exec(*command, env=self._environment)

    async def dies(self) -> None:
        """Return when it has ended by itself."""
        if self._process is not None:
            await self._process.wait()

    async def die(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def mortal_worker(live: Live) -> AsyncGenerator[Mortal]:
    """A worker that may be killed, in place of the instance's own, which stands still meanwhile."""
    mortal = Mortal(live)
    own = live.instance.signal("worker", signal.SIGSTOP)
    try:
        await mortal.live()
        yield mortal
    finally:
        await mortal.die()
        os.kill(own, signal.SIGCONT)
