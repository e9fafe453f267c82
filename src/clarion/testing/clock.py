"""A clock that stands still until it is moved."""

from __future__ import annotations


class ManualClock:
    """Fulfils `kernel.clock.Clock`. Begins at `now_ms` (UTC ms); `advance` moves both of its hands."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = float(now_ms)
        self._monotonic = 1000.0

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC, as set."""
        return int(self._now_ms)

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += seconds * 1000
        self._monotonic += seconds
