"""The way into `audience.events`: single events together, batches by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.audience.events import EventAsk, EventPorts, record_events
from clarion.kernel.batch import Coalescer
from clarion.kernel.errors import ClarionError

TOGETHER: Final = 500
CONCURRENCY: Final = 2
CROWD: Final = 16
"""As for accepts: a batch costs some milliseconds, an event hundredths of one."""


class Recorder:
    """Records events. Concurrent single requests share a transaction."""

    def __init__(self, ports: EventPorts) -> None:
        self._ports = ports
        self._singles: Coalescer[EventAsk, EventAsk] = Coalescer(
            self.record, limit=TOGETHER, concurrency=CONCURRENCY, crowd=CROWD
        )

    async def submit(self, ask: EventAsk) -> None:
        """Record one event. Raises what it is refused with, and Transient."""
        await self._singles.submit(ask)

    async def record(self, asks: Sequence[EventAsk]) -> list[EventAsk | ClarionError]:
        """Record events; see `record_events`."""
        return await record_events(asks, self._ports)
