"""The erasures role: carries erasures through all stores, and carries out again what a restore brought back."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.compliance.erasure import LEASE_MS, carry_on, replay
from clarion.entrypoints.erasing import open_erasures
from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.ids import format_id

if TYPE_CHECKING:
    from clarion.adapters.postgres.erasures import PostgresErasures
    from clarion.bootstrap import Worker
    from clarion.compliance.erasure import Erasure, ErasurePorts

TAKE: Final = 4
IDLE_S: Final = 1.0
REPLAY_EVERY_S: Final = 3600.0
WATCH_EVERY_S: Final = 60.0

_log = structlog.get_logger("erasures")


async def run_erasures(worker: Worker, stop: asyncio.Event) -> None:
    """Erase until `stop` is set. Several workers share the erasures."""
    async with open_erasures(worker.region) as ports:
        await asyncio.gather(
            run_lane("erasures", partial(step, ports), stop),
            run_lane("erasures-replay", partial(_replay, ports), stop),
            run_lane("erasures-watch", partial(_watch, worker.region.erasures), stop),
        )


async def step(ports: ErasurePorts) -> float:
    """Go on with a few erasures, one round each; the seconds to the next step."""
    erasures = await ports.store.take(TAKE, LEASE_MS)
    rounds = (carry_on(one, ports) for one in erasures)
    outcomes = await asyncio.gather(*rounds, return_exceptions=True)
    for outcome in outcomes:
        if not isinstance(outcome, BaseException):
            _tell(outcome)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return 0.0 if len(erasures) == TAKE else IDLE_S


def _tell(erasure: Erasure) -> None:
    ident = format_id(erasure.erasure_id)
    if erasure.completed_ms is not None:
        removed = {step.target: sum(step.removed.values()) for step in erasure.steps}
        _log.info("erased", erasure=ident, rounds=erasure.rounds, removed=removed)
    elif erasure.problem:
        _log.warning("erasure_waits", erasure=ident, reason=erasure.problem)


async def _replay(ports: ErasurePorts) -> float:
    opened = await replay(ports)
    if opened:
        _log.warning("erasures_restored", erasures=opened)
    return REPLAY_EVERY_S


async def _watch(erasures: PostgresErasures) -> float:
    returned = await erasures.reopen_returned()
    if returned:
        _log.warning("erasures_reopened", erasures=returned)
    await erasures.drop_old_former()
    return WATCH_EVERY_S
