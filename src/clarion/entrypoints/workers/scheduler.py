"""The scheduler role: what is due joins the queue, tenants take turns, ended leases come back. By Valkey's clock."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.workers.lane import run_lane

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

PROMOTE_BATCH: Final = 2_000
PROMOTE_EVERY_S: Final = 0.2
FEED_EVERY_S: Final = 0.05
REAP_BATCH: Final = 1_000
REAP_EVERY_S: Final = 1.0


async def run_scheduler(worker: Worker, stop: asyncio.Event) -> None:
    """Promote, feed and reap on every channel until `stop` is set. Several schedulers do no harm."""
    steps = {"promote": _promote, "feed": _feed, "reap": _reap}
    await asyncio.gather(
        *(
            run_lane(f"scheduler-{channel}-{name}", partial(step, worker, channel), stop)
            for channel in CHANNELS
            for name, step in steps.items()
        )
    )


async def _promote(worker: Worker, channel: str) -> float:
    promoted = await worker.queue.promote(channel, PROMOTE_BATCH)
    return FEED_EVERY_S if promoted == PROMOTE_BATCH else PROMOTE_EVERY_S


async def _feed(worker: Worker, channel: str) -> float:
    return FEED_EVERY_S if await worker.queue.feed(channel) else PROMOTE_EVERY_S


async def _reap(worker: Worker, channel: str) -> float:
    lost = await worker.queue.ended(channel, REAP_BATCH)
    # Noted before they are offered again: a worker that dies over one of them may do so within milliseconds.
    await worker.quarantine.note_lost(lost, claimed=True)
    reaped = await worker.queue.reap(channel, len(lost)) if lost else 0
    worker.metrics.queue.reaped.labels(channel).inc(reaped)
    return 0.0 if reaped == REAP_BATCH else REAP_EVERY_S
