"""The sweeper role: Postgres is the truth, and what the queue has lost is queued again from it.

Also the housekeeping of the store: partitions ahead of time, old idempotency keys, devices that nobody uses, the
anchor of this process's clock.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.audience.devices import STALE_DAYS
from clarion.contracts.channels import CHANNELS
from clarion.delivery.suspects import describe_error
from clarion.entrypoints.workers.lane import run_lane
from clarion.entrypoints.workers.queue_alarm import QueueAlarm
from clarion.orchestration.fall_back import fall_back

if TYPE_CHECKING:
    from clarion.bootstrap import Region, Worker

SWEEP_BATCH: Final = 1_000
REBUILD_PAGE: Final = 5_000
FALLBACK_BATCH: Final = 500
FALLBACK_EVERY_S: Final = 0.5
FALLBACK_LEASE_MS: Final = 30_000
"""After which the chains of a sweeper that died are another's: longer than any step takes."""

KEEP_EVERY_S: Final = 600.0
OBSERVE_EVERY_S: Final = 2.0
FIRST_ID: Final = bytes(16)

_log = structlog.get_logger("sweeper")


async def run_sweeper(worker: Worker, stop: asyncio.Event) -> None:
    """Sweep until `stop` is set. Several sweepers share the work."""
    await asyncio.gather(
        run_lane("sweeper-sweep", partial(_sweep, worker), stop),
        run_lane("sweeper-fallbacks", partial(_fall_back, worker), stop),
        run_lane("sweeper-housekeeping", partial(_keep_house, worker), stop),
        run_lane("sweeper-observe", partial(_observe, worker, QueueAlarm()), stop),
    )


async def _sweep(worker: Worker) -> float:
    if not await worker.queue.holds_marker():
        # Marked afterwards: a sweeper that dies in the middle leaves the rebuilding to the next one.
        await rebuild(worker)
        await worker.queue.mark()
    items = await worker.store.take_overdue(SWEEP_BATCH)
    if items:
        await worker.quarantine.note_lost(items, claimed=False)
        await worker.queue.enqueue(items)
        worker.metrics.queue.swept.inc(len(items))
        _log.info("swept", deliveries=len(items))
    return 0.0 if len(items) == SWEEP_BATCH else worker.settings.sweep_every_s


async def _fall_back(worker: Worker) -> float:
    progress = await fall_back(worker.fallbacks, FALLBACK_BATCH, lease_ms=FALLBACK_LEASE_MS)
    for error in progress.errors:
        _log.error("chain_failed", error=describe_error(error))
    return 0.0 if progress.chains == FALLBACK_BATCH else FALLBACK_EVERY_S


async def rebuild(worker: Worker) -> int:
    """Queue every open delivery that nobody holds; how many. After a loss of Valkey's data (or a first start)."""
    after, queued = FIRST_ID, 0
    while items := await worker.store.page_open(after, REBUILD_PAGE):
        await worker.quarantine.note_lost(items, claimed=False)
        await worker.queue.enqueue(items)
        after, queued = items[-1].delivery_id, queued + len(items)
    if queued:
        _log.warning("queue_rebuilt", deliveries=queued)
    worker.metrics.queue.swept.inc(queued)
    return queued


async def _keep_house(worker: Worker) -> float:
    await worker.housekeeping.ensure_partitions()
    await worker.housekeeping.drop_old_keys()
    await worker.housekeeping.drop_old_letters()
    await worker.housekeeping.drop_old_chains()
    await forget_devices(worker.region)
    return KEEP_EVERY_S


async def forget_devices(region: Region) -> None:
    """Remove devices that are so old that their tokens are dead, and the cards that still count on them."""
    while dropped := await region.devices.drop_stale(STALE_DAYS, SWEEP_BATCH):
        names: dict[bytes, list[str]] = {}
        for tenant_id, external_id in dropped:
            names.setdefault(tenant_id, []).append(external_id)
        for tenant_id, external_ids in names.items():
            await region.card_cache.drop(tenant_id, external_ids)


async def _observe(worker: Worker, alarm: QueueAlarm) -> float:
    metrics = worker.metrics
    await worker.region.anchor_clock()
    metrics.clock_drift.set(worker.clock.drift_ms() / 1000)
    for channel in CHANNELS:
        depths = await worker.queue.depths(channel)
        metrics.queue.depth.labels(channel, "queue").set(sum(depths.queued))
        metrics.queue.depth.labels(channel, "backlog").set(sum(depths.backlog))
        metrics.queue.depth.labels(channel, "scheduled").set(depths.scheduled)
        metrics.queue.depth.labels(channel, "inflight").set(depths.in_flight)
        metrics.queue.age.labels(channel).set(depths.oldest_ms / 1000)
        alarm.see(channel, depths.oldest_ms / 1000)
    events, age_s = await worker.outbox.backlog()
    metrics.outbox_events.set(events)
    metrics.outbox_age.set(age_s)
    letters, age_s = await worker.letters.backlog()
    metrics.aside.depth.set(letters)
    metrics.aside.age.set(age_s)
    for source, parked in (await worker.parking.count()).items():
        metrics.aside.parked.labels(source).set(parked)
    return OBSERVE_EVERY_S
