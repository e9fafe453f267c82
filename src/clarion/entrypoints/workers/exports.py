"""The exports role: gathers what is held about users who ask for it, and lets archives go after their days."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.compliance.export import Export, ExportPorts, carry_out
from clarion.entrypoints.exporting import export_ports, exports_of
from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.ids import format_id

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

IDLE_S: Final = 1.0
EXPIRE_EVERY_S: Final = 60.0

_log = structlog.get_logger("exports")


async def run_exports(worker: Worker, stop: asyncio.Event) -> None:
    """Export until `stop` is set. Several workers share the exports."""
    await asyncio.gather(
        run_lane("exports", partial(_carry_out, export_ports(worker.region, worker.global_pool)), stop),
        run_lane("exports-expire", partial(_expire, worker), stop),
    )


async def _carry_out(ports: ExportPorts) -> float:
    export = await carry_out(ports)
    if export is None:
        return IDLE_S
    _tell(export)
    return 0.0


def _tell(export: Export) -> None:
    ident = format_id(export.export_id)
    if export.state == "ready":
        records = sum(sum(step.records.values()) for step in export.steps)
        _log.info("exported", export=ident, records=records, bytes=export.size)
    elif export.state == "failed":
        _log.error("export_failed", export=ident, reason=export.problem)
    else:
        _log.warning("export_waits", export=ident, reason=export.problem)


async def _expire(worker: Worker) -> float:
    expired = await exports_of(worker.region).drop_old()
    if expired:
        _log.info("exports_expired", exports=expired)
    return EXPIRE_EVERY_S
