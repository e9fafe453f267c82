"""Time as a value that is passed in. Nothing below the adapters reads a clock of its own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Says what time it is. `now_ms` is corrected to the store's clock; `monotonic` only measures spans."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC, as the store sees it."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes backwards."""
        ...


class StoreClock:
    """The machine's monotonic clock, anchored to a store's wall clock.

    A wall clock of this machine that is 30 s off, or jumps, changes nothing: only the anchor counts, and
    `anchor` is called at start and then every few seconds with the store's answer.
    """

    def __init__(self) -> None:
        self._offset_ms = time.time() * 1000 - time.monotonic() * 1000

    def anchor(self, store_ms: float, at_monotonic: float) -> None:
        """Take `store_ms` (store's time in ms) as the truth for the instant `at_monotonic` (s, from `monotonic`)."""
        self._offset_ms = store_ms - at_monotonic * 1000

    def drift_ms(self) -> float:
        """How far this machine's wall clock is from the store's, in ms; positive: the machine is ahead."""
        return time.time() * 1000 - (time.monotonic() * 1000 + self._offset_ms)

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC by the store's clock."""
        return int(time.monotonic() * 1000 + self._offset_ms)

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin."""
        return time.monotonic()
