"""The projector role: receipts from the inbox become states of notifications."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.errors import Transient

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

BATCHES: Final = 256
IDLE_S: Final = 0.1


async def run_projector(worker: Worker, stop: asyncio.Event) -> None:
    """Fold receipts until `stop` is set. Several projectors share the work."""
    await run_lane("projector", partial(_step, worker), stop)


async def _step(worker: Worker) -> float:
    report = await worker.receipts.project(BATCHES, worker.clock.now_ms())
    worker.metrics.count(worker.metrics.receipts, {(kind,): n for kind, n in report.kinds.items()})
    worker.metrics.receipts_unknown.inc(report.unknown)
    for tenant_id, names in report.changed_users.items():
        # A card that stays makes decisions worse, and lets nothing through: consent is read again at the send.
        with contextlib.suppress(Transient):
            await worker.region.card_cache.drop(tenant_id, sorted(names))
    return 0.0 if report.batches else IDLE_S
