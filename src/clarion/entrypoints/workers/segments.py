"""The segments role: keeps the memberships that somebody asked for, and lets old events go."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.audience.segments import keep_membership
from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.errors import Invalid

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

IDLE_S: Final = 0.5
"""How long after it was asked for a count or snapshot begins, at the latest."""

FORGET_EVERY_S: Final = 600.0

_log = structlog.get_logger("segments")


async def run_segments(worker: Worker, stop: asyncio.Event) -> None:
    """Keep memberships until `stop` is set. Several workers share the work."""
    await asyncio.gather(
        run_lane("segments-keep", partial(_keep, worker, stop), stop),
        run_lane("segments-forget", partial(_forget, worker), stop),
    )


async def _keep(worker: Worker, stop: asyncio.Event) -> float:
    ports = worker.region.segments
    try:
        job = await keep_membership(worker.snapshots, ports.sources, ports.sealer, stop.is_set)
    except Invalid as error:
        # Kept by a release that allowed more: it waits for its tenant to mend it.
        _log.warning("segment_not_understood", reason=error.detail)
        return IDLE_S
    if job is None:
        return IDLE_S
    _log.info("segment_kept", tenant_id=job.tenant_id.hex(), segment_id=job.segment_id)
    return 0.0


async def _forget(worker: Worker) -> float:
    return 0.0 if await worker.region.events.drop_old() else FORGET_EVERY_S
