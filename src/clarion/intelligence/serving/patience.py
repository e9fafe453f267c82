"""How long a decision waits for something outside of this process, and when it stops asking."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from clarion.kernel.clock import Clock

SLICE_S: Final = 0.002
"""What one look at the clock may count at most: time in which this process was busy is nobody else's."""


async def wait_within(work: Collection[asyncio.Future[Any]], clock: Clock, limit_s: float) -> None:
    """Wait until all work is done, or `limit_s` have passed; what is not done then goes on, for the caller to cancel.

    An answer may lie in the socket while this process computes: each look counts for no more than `SLICE_S`.
    """
    left_s, pending = limit_s, set(work)
    while pending and left_s > 0:
        began_s = clock.monotonic()
        _, pending = await asyncio.wait(pending, timeout=min(SLICE_S, left_s))
        left_s -= min(clock.monotonic() - began_s, SLICE_S)


class Breaker:
    """Leaves something alone for a while when it failed several times in a row; then one call tries again."""

    def __init__(self, clock: Clock, patience: int, rest_s: float) -> None:
        """`patience`: failures in a row before it rests; `rest_s`: for how long."""
        self._clock = clock
        self._patience = patience
        self._rest_s = rest_s
        self._failures = 0
        self._rests_until_s = 0.0

    def may_try(self) -> bool:
        """Whether a call may be made now. Of those that ask at the end of a rest, the first may."""
        if self._failures < self._patience:
            return True
        now_s = self._clock.monotonic()
        if now_s < self._rests_until_s:
            return False
        self._rests_until_s = now_s + self._rest_s
        return True

    def note(self, *, worked: bool) -> None:
        """Say how a call ended."""
        self._failures = 0 if worked else self._failures + 1
        if not worked:
            self._rests_until_s = self._clock.monotonic() + self._rest_s
