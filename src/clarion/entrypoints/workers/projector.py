"""The projector role: receipts from the inbox become states of notifications, and silence where it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.errors import Transient

if TYPE_CHECKING:
    from clarion.bootstrap import Region, Worker

BATCHES: Final = 256
IDLE_S: Final = 0.1


async def run_projector(worker: Worker, stop: asyncio.Event) -> None:
    """Fold receipts until `stop` is set. Several projectors share the work."""
    await run_lane("projector", partial(_step, worker), stop)


async def _step(worker: Worker) -> float:
    return 0.0 if await project(worker.region) else IDLE_S


async def project(region: Region) -> bool:
    """Fold what is due, a portion of it; whether there was anything."""
    report = await region.receipts.project(BATCHES, region.clock.now_ms())
    region.metrics.count(region.metrics.receipts, {(kind,): n for kind, n in report.kinds.items()})
    region.metrics.receipts_unknown.inc(report.unknown)
    for tenant_id, names in report.changed_users.items():
        # A card that stays makes decisions worse, and lets nothing through: consent is read again at the send.
        with contextlib.suppress(Transient):
            await region.card_cache.drop(tenant_id, sorted(names))
    return report.batches > 0
