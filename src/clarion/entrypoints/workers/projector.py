"""The projector role: receipts from the inbox become states of notifications."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from clarion.entrypoints.workers.lane import run_lane

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

BATCHES: Final = 8
IDLE_S: Final = 0.1


async def run_projector(worker: Worker, stop: asyncio.Event) -> None:
    """Fold receipts until `stop` is set. Several projectors share the work."""
    await run_lane("projector", partial(_step, worker), stop)


async def _step(worker: Worker) -> float:
    batches = await worker.receipts.project(BATCHES, worker.clock.now_ms())
    return 0.0 if batches else IDLE_S
