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
    from clarion.delivery.figures import Figures

BATCHES: Final = 256
IDLE_S: Final = 0.1
TELL_EVERY_S: Final = 1.0


async def run_projector(worker: Worker, stop: asyncio.Event) -> None:
    """Fold receipts until `stop` is set. Several projectors share the work."""
    await asyncio.gather(
        run_lane("projector", partial(_step, worker), stop),
        run_lane("projector-figures", partial(_tell, worker), stop),
    )


async def _step(worker: Worker) -> float:
    return 0.0 if await project(worker.region, worker.dispatch.router.figures) else IDLE_S


async def _tell(worker: Worker) -> float:
    """Tell the region what receipts said of accounts; where this process delivers too, with what it saw itself."""
    now_ms = worker.clock.now_ms()
    fresh = worker.dispatch.router.figures.take(now_ms)
    if fresh:
        await worker.board.add(fresh, (), now_ms)
    return TELL_EVERY_S


async def project(region: Region, figures: Figures) -> bool:
    """Fold what is due, a portion of it, and count what arrived; whether there was anything."""
    report = await region.receipts.project(BATCHES, region.clock.now_ms())
    region.metrics.count(region.metrics.receipts, {(kind,): n for kind, n in report.kinds.items()})
    region.metrics.receipts_unknown.inc(report.unknown)
    for (tenant_id, account, destination, arrived), n in report.fates.items():
        figures.observe_receipts(
            (tenant_id, account), destination, delivered=n * arrived, lost=n * (not arrived)
        )
    for tenant_id, names in report.changed_users.items():
        # A card that stays makes decisions worse, and lets nothing through: consent is read again at the send.
        with contextlib.suppress(Transient):
            await region.card_cache.drop(tenant_id, sorted(names))
    return report.batches > 0
