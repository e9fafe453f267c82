"""The way into `journeys.trigger`: single entries together, batches by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.journeys.trigger import Begun, EntryAsk, TriggerPorts, trigger
from clarion.kernel.batch import Coalescer
from clarion.kernel.errors import ClarionError

TOGETHER: Final = 500
CONCURRENCY: Final = 2
CROWD: Final = 16
"""As for accepts: a batch costs some milliseconds, an entry hundredths of one."""


class Entrance:
    """Lets users into journeys. Concurrent single requests share their statements."""

    def __init__(self, ports: TriggerPorts) -> None:
        self._ports = ports
        self._singles: Coalescer[EntryAsk, Begun] = Coalescer(
            self.enter, limit=TOGETHER, concurrency=CONCURRENCY, crowd=CROWD
        )

    async def submit(self, ask: EntryAsk) -> Begun:
        """The run that stands for one entry. Raises what it is refused with, and Transient."""
        return await self._singles.submit(ask)

    async def enter(self, asks: Sequence[EntryAsk]) -> list[Begun | ClarionError]:
        """Let users in; see `trigger`."""
        return await trigger(asks, self._ports)
