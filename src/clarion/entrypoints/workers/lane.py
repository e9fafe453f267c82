"""A lane: one step after another until told to stop, through any outage."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from clarion.kernel.errors import Transient

BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0

_log = structlog.get_logger("lane")


async def run_lane(name: str, step: Callable[[], Awaitable[float]], stop: asyncio.Event) -> None:
    """Run `step` until `stop` is set. A step gives how many seconds may pass before the next one (0: none).

    A step that fails is repeated after a pause that grows to BACKOFF_MAX_S; one line is logged per failure streak and
    one when it ends. A step under way when `stop` is set is finished.
    """
    failures = 0
    while not stop.is_set():
        try:
            pause_s = await step()
        except Exception as error:  # noqa: BLE001  a lane outlives whatever its step meets: the work is still there
            failures += 1
            pause_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 10)) * (0.5 + random.random() / 2)  # noqa: S311  jitter
            if failures == 1:
                _report(name, error)
        else:
            if failures:
                _log.info("lane_recovered", lane=name, failures=failures)
            failures = 0
        if pause_s:
            await _pause(stop, pause_s)


def _report(name: str, error: Exception) -> None:
    if isinstance(error, Transient):
        _log.warning("lane_waits", lane=name, reason=error.detail)
    else:
        _log.error("lane_failed", lane=name, exc_info=error)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
