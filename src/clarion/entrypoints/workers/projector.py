"""The projector role: receipts from the inbox become states of notifications, and silence where it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.delivery.costs import CostKey, CostLine, CostMeter
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import Figures
from clarion.entrypoints.workers.lane import run_lane
from clarion.entrypoints.workers.spending import write_costs
from clarion.kernel.errors import NotFound, Transient
from clarion.kernel.local_time import known_zone, local_day

if TYPE_CHECKING:
    from clarion.adapters.postgres.folding import Repriced
    from clarion.bootstrap import Region, Worker

BATCHES: Final = 256
IDLE_S: Final = 0.1
TELL_EVERY_S: Final = 1.0


class Counts(msgspec.Struct, frozen=True):
    """What this process counts until it tells it: how accounts do, and what is spent."""

    figures: Figures
    costs: CostMeter


async def run_projector(worker: Worker, stop: asyncio.Event) -> None:
    """Fold receipts until `stop` is set. Several projectors share the work."""
    await asyncio.gather(
        run_lane("projector", partial(_step, worker), stop),
        run_lane("projector-figures", partial(_tell, worker), stop),
        run_lane("projector-costs", partial(_write_costs, worker), stop),
    )


async def _step(worker: Worker) -> float:
    counts = Counts(worker.dispatch.router.figures, worker.dispatch.till.meter)
    return 0.0 if await project(worker.region, counts) else IDLE_S


async def _write_costs(worker: Worker) -> float:
    await write_costs(worker)
    return TELL_EVERY_S


async def _tell(worker: Worker) -> float:
    """Tell the region what receipts said of accounts; where this process delivers too, with what it saw itself."""
    now_ms, figures = worker.clock.now_ms(), worker.dispatch.router.figures
    fresh = figures.take(now_ms)
    figures.keep(worker.dispatch.circuits.in_use())
    if fresh:
        await worker.board.add(fresh, (), now_ms)
    return TELL_EVERY_S


async def project(region: Region, counts: Counts) -> bool:
    """Fold what is due, a portion of it, and count what arrived and what it cost; whether there was anything."""
    report = await region.receipts.project(BATCHES, region.clock.now_ms())
    region.metrics.count(region.metrics.receipts, {(kind,): n for kind, n in report.kinds.items()})
    region.metrics.receipts_unknown.inc(report.unknown)
    for (tenant_id, account, destination, arrived), n in report.fates.items():
        counts.figures.observe_receipts(
            (tenant_id, account), destination, delivered=n * arrived, lost=n * (not arrived)
        )
    for one in report.repriced:
        with contextlib.suppress(Transient, NotFound):
            counts.costs.add(await _correction(region, one))
    for tenant_id, names in report.changed_users.items():
        # A card that stays makes decisions worse, and lets nothing through: consent is read again at the send.
        with contextlib.suppress(Transient):
            await region.card_cache.drop(tenant_id, sorted(names))
    return report.batches > 0


async def _correction(region: Region, one: Repriced) -> CostLine:
    """What is to be added to the sums of the day on which it was sent. Raises Transient, NotFound."""
    config = await region.configs.get(one.tenant_id)
    day = local_day(known_zone(config.tenant.timezone), one.sent_ms)
    country = one.destination if one.channel == "sms" else ANYWHERE
    key = CostKey(one.tenant_id, day, one.provider, one.channel, one.category, country, one.is_test)
    # What it would have cost by lot was wrong by as much: savings are those of the choice, not of the price book.
    return CostLine(key, 0, 0, one.more_micros, one.more_micros)
