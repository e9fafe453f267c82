"""The delivery role: claims work on every channel and dispatches it.

Each channel has general lanes, and one reserved for urgent work (priorities 0 to 2), so that a one-time code never
stands behind a campaign that the general lanes are busy with.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.telemetry.traces import delivery_spans
from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.workers.accounts import run_accounts
from clarion.entrypoints.workers.lane import run_lane
from clarion.entrypoints.workers.spending import run_spending, write_costs
from clarion.kernel.errors import Transient

if TYPE_CHECKING:
    from clarion.bootstrap import Worker
    from clarion.delivery.quarantine import Handled
    from clarion.delivery.run import Report

IDLE_WAIT_S: Final = 1.0
REFRESH_EVERY_S: Final = 2.0
"""How often it is asked whether any delivery is to be handled with care."""

URGENT_BATCH: Final = 100
"""Small, so that a code that comes a moment later does not wait for a long batch to end."""

_log = structlog.get_logger("delivery")


async def run_delivery(worker: Worker, stop: asyncio.Event) -> None:
    """Claim and dispatch until `stop` is set; what is under way then is finished."""
    general = partial(_step, worker, limit=worker.settings.claim_batch, urgent_only=False)
    urgent = partial(_step, worker, limit=URGENT_BATCH, urgent_only=True)
    lanes = [
        run_lane(f"delivery-{channel}-{number}", partial(general, channel), stop)
        for channel in CHANNELS
        for number in range(worker.settings.dispatch_loops)
    ]
    lanes += [run_lane(f"delivery-{channel}-urgent", partial(urgent, channel), stop) for channel in CHANNELS]
    lanes.append(run_lane("delivery-suspects", partial(_refresh, worker), stop))
    await asyncio.gather(*lanes, run_accounts(worker, stop), run_spending(worker, stop))
    with contextlib.suppress(Transient):
        # Each delivery's own row has its cost; only the sums of the last second are missing then.
        await write_costs(worker)


async def _refresh(worker: Worker) -> float:
    await worker.quarantine.refresh()
    return REFRESH_EVERY_S


async def _step(worker: Worker, channel: str, *, limit: int, urgent_only: bool) -> float:
    lease_ms = worker.dispatch.lease_ms
    items = await worker.queue.claim(channel, limit, lease_ms=lease_ms, urgent_only=urgent_only)
    if not items:
        await worker.queue.wait(channel, IDLE_WAIT_S, urgent_only=urgent_only)
        return 0.0
    with worker.metrics.stage_seconds.labels("dispatch").time():
        handled = await worker.quarantine.handle(items, worker.dispatch)
    for report in handled.reports:
        _observe(worker, report)
    if handled.errors or handled.dead:
        _tell(worker, handled)
    return 0.0


def _tell(worker: Worker, handled: Handled) -> None:
    for error in handled.errors:
        _log.error("dispatch_failed", error=error)
    for reason, count in handled.dead.items():
        worker.metrics.aside.died.labels(reason).inc(count)
        _log.error("dead_letters", reason=reason, deliveries=count)


def _observe(worker: Worker, report: Report) -> None:
    metrics = worker.metrics
    metrics.count(metrics.attempts, report.attempts)
    metrics.count(metrics.conclusions, report.conclusions)
    metrics.fenced.inc(report.fenced)
    if worker.traces.enabled:
        worker.traces.record(delivery_spans(report.closed))
