"""What the chaos tests share: the sends in flight, and the measure of a fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from clarion.delivery.model import Capabilities
from clarion.settings import Settings
from clarion.testing.smtp import Fault, SinkReport

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
