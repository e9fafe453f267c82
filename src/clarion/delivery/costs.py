"""What was sent and spent, as a process counts it until it is written down.

A process adds up in memory, and a lane of the worker writes the sums each second. What a dead process had not written
is missing here, and nowhere else: the cost of each delivery is in its own row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec


class CostKey(NamedTuple):
    """What costs are told apart by. `day`: YYYYMMDD in the tenant's zone; `country`: of a text message, else ``*``."""

    tenant_id: bytes
    day: int
    provider: str
    channel: str
    category: str
    country: str
    is_test: bool


class CostLine(msgspec.Struct, frozen=True):
    """Sums of one key. `mean_micros`: what it would have cost had the providers been drawn by lot.

    `as_of_us`: of sums that were written, when (µs since 1970 by the store's clock, rising with each sum of a key).
    """

    key: CostKey
    sent: int
    segments: int
    micros: int
    mean_micros: int
    as_of_us: int = 0


class CostStore(Protocol):
    """Where sums are kept for good."""

    async def add(self, lines: Sequence[CostLine]) -> list[CostLine]:
        """Add to the sums in one transaction; the new sums of the same keys. Raises Transient: nothing was added."""
        ...

    async def spent(self, wanted: Sequence[SpentOn]) -> list[int]:
        """What was spent on each, in micros, without tests. Raises Transient."""
        ...


class SpentOn(msgspec.Struct, frozen=True):
    """What a tenant spent from `first_day` on (YYYYMMDD), on a channel and in a category ("": all)."""

    tenant_id: bytes
    first_day: int
    channel: str = ""
    category: str = ""


class LiveCosts(Protocol):
    """Where today's sums are shown."""

    async def show(self, lines: Sequence[CostLine]) -> None:
        """Show these sums where nothing newer is. Raises Transient: the next sums of the same keys make up for it."""
        ...


class CostMeter:
    """The sums of one process since they were last drained."""

    def __init__(self) -> None:
        self._sums: dict[CostKey, list[int]] = {}

    def add(self, line: CostLine) -> None:
        """Count what a line says."""
        sums = self._sums.get(line.key)
        if sums is None:
            self._sums[line.key] = [line.sent, line.segments, line.micros, line.mean_micros]
            return
        sums[0] += line.sent
        sums[1] += line.segments
        sums[2] += line.micros
        sums[3] += line.mean_micros

    def drain(self) -> list[CostLine]:
        """All sums, which are then empty. Where they cannot be written, `add` them again."""
        sums, self._sums = self._sums, {}
        return [CostLine(key, *values) for key, values in sums.items()]
