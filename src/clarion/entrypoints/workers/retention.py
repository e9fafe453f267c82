"""The retention role: days of notifications end when they have been kept for long enough, and contents before that."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.postgres.retention import PostgresRetention
from clarion.entrypoints.workers.lane import run_lane

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

EVERY_S: Final = 3600.0
BUSY_S: Final = 5.0

_log = structlog.get_logger("retention")


async def run_retention(worker: Worker, stop: asyncio.Event) -> None:
    """End what is old until `stop` is set. Several workers share the days."""
    retention, days = PostgresRetention(worker.region.pools), worker.settings.retention_days
    await asyncio.gather(
        run_lane("retention-days", partial(retire_days, retention, days), stop),
        run_lane("retention-contents", partial(clear_contents, retention, days), stop),
        run_lane("retention-audit", partial(_drop_audit, retention), stop),
    )


async def retire_days(retention: PostgresRetention, keep_days: int) -> float:
    """End the days that are older than `keep_days`; the seconds to the next look."""
    is_busy = False
    for day in await retention.old_days(keep_days):
        outcome = await retention.retire(day)
        if outcome is None:
            is_busy = True
        elif outcome == "unbalanced":
            _log.error("day_unbalanced", day=str(day), mend="clarion ledger verify")
        elif outcome in {"dropped", "moved"}:
            _log.info("day_retired", day=str(day), outcome=outcome)
    return BUSY_S if is_busy else EVERY_S


async def clear_contents(retention: PostgresRetention, keep_days: int) -> float:
    """Clear what tenants keep for less than `keep_days`; the seconds to the next look."""
    for span in await retention.shorter_times(keep_days):
        cleared = await retention.clear(span)
        if cleared:
            _log.info("contents_cleared", tenant_id=span.tenant_id.hex(), messages=cleared)
    return EVERY_S


async def _drop_audit(retention: PostgresRetention) -> float:
    dropped = await retention.drop_old_audit()
    if dropped:
        _log.info("audit_dropped", entries=dropped)
    return EVERY_S
