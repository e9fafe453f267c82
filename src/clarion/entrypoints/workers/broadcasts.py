"""The broadcasts role: takes snapshots of audiences, accepts their chunks in time, and keeps the books.

Nothing here is held: every step ends in one transaction that moves on from where it was read, or does nothing. So any
number of workers may run the role, and each of them may die at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.entrypoints.workers.daily_quota import give_back, take_places
from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.errors import Permanent, Transient
from clarion.orchestration.fan_out import expand, rehearse
from clarion.orchestration.snapshot import collect

if TYPE_CHECKING:
    from clarion.bootstrap import Worker
    from clarion.orchestration.accept import Answer
    from clarion.orchestration.broadcasts import Chunk

IDLE_S: Final = 0.1
"""How long after it was asked for a broadcast begins, at the latest; and how finely a rate limit is kept."""

LOOK_BATCH: Final = 32
"""Chunks that are looked at together: 16 000 members at most."""

LOOK_EVERY_S: Final = 0.1
RECOUNT_EVERY_S: Final = 1.0
"""How often settled chunks are looked for that are to be counted again, while no broadcast is sending."""

REFUSED: Final = "error"
"""Reason for the members of a chunk that could not be accepted for an error of ours."""

NO_QUOTA: Final = "quota"
"""Reason for the members of a chunk that the tenant's day has no places for, as for a request that is refused so."""

_log = structlog.get_logger("broadcasts")


async def run_broadcasts(worker: Worker, stop: asyncio.Event) -> None:
    """Collect, accept, settle and cancel until `stop` is set."""
    watch = _Watch()
    await asyncio.gather(
        run_lane("broadcasts-watch", partial(_look_around, worker, watch), stop),
        run_lane("broadcasts-collect", partial(_collect, worker, watch), stop),
        run_lane("broadcasts-expand", partial(_expand, worker, watch), stop),
        run_lane("broadcasts-look", partial(_look, worker, watch), stop),
        run_lane("broadcasts-cancel", partial(_cancel, worker, watch), stop),
    )


class _Watch:
    """What there is to do, so that an idle worker asks one question and not one a lane."""

    def __init__(self) -> None:
        self.stages: frozenset[str] = frozenset()


async def _look_around(worker: Worker, watch: _Watch) -> float:
    watch.stages = await worker.broadcasts.chunks.stages()
    return IDLE_S


async def _collect(worker: Worker, watch: _Watch) -> float:
    if "collecting" not in watch.stages:
        return IDLE_S
    ports = worker.broadcasts.snapshot
    collecting = await worker.broadcasts.snapshots.take()
    if collecting is None:
        return IDLE_S
    config = await worker.broadcasts.accept.configs.get(collecting.tenant_id)
    await collect(collecting, config.tenant.timezone, ports)
    return 0.0


async def _expand(worker: Worker, watch: _Watch) -> float:
    if "sending" not in watch.stages:
        return IDLE_S
    broadcasts = worker.broadcasts
    chunk = await broadcasts.chunks.next()
    if chunk is None:
        return IDLE_S
    try:
        await _move(worker, chunk)
    except Permanent as error:
        # It would fail for ever, and all that comes after it would wait.
        _log.error(
            "chunk_refused",
            broadcast_id=chunk.ref.broadcast_id.hex(),
            chunk=chunk.ref.number,
            reason=error.detail,
        )
        await broadcasts.chunks.refuse(chunk.ref, REFUSED)
    return 0.0


async def _move(worker: Worker, chunk: Chunk) -> None:
    """Accept or examine a chunk."""
    broadcasts = worker.broadcasts
    if chunk.rehearsal:
        await rehearse(chunk, broadcasts.accept, broadcasts.chunks)
        return
    taken = await take_places(worker, chunk)
    if taken is None:
        await broadcasts.chunks.refuse(chunk.ref, NO_QUOTA)
        return
    answer = None
    try:
        with worker.metrics.stage_seconds.labels("accept").time():
            answer = await expand(chunk, broadcasts.accept)
    finally:
        await give_back(worker, taken, 0 if answer is None else answer.accepted)
    if answer is not None:
        _observe(worker, answer)


def _observe(worker: Worker, answer: Answer) -> None:
    metrics = worker.metrics
    metrics.accepts.inc(answer.accepted)
    rules: dict[tuple[str, ...], int] = {}
    for rule in answer.rules:
        rules[rule,] = rules.get((rule,), 0) + 1
    metrics.count(metrics.decisions, rules)


async def _look(worker: Worker, watch: _Watch) -> float:
    if await worker.broadcasts.chunks.look(LOOK_BATCH) == LOOK_BATCH:
        return 0.0
    return LOOK_EVERY_S if "sending" in watch.stages else RECOUNT_EVERY_S


async def _cancel(worker: Worker, watch: _Watch) -> float:
    if "cancelling" not in watch.stages:
        return IDLE_S
    chunks = worker.broadcasts.chunks
    taken = await chunks.take_cancelling()
    if taken is None:
        return IDLE_S
    broadcast_id, tenant_id = taken
    number, cancelled = -1, 0
    while chunk := await chunks.cancel_next(broadcast_id, tenant_id, number, worker.clock.now_ms()):
        number, cancelled = chunk.number, cancelled + len(chunk.items)
        with contextlib.suppress(Transient):
            # What the queue still holds of them, a worker finds cancelled in Postgres.
            await worker.queue.remove(chunk.items)
    await chunks.end_cancelling(broadcast_id)
    _log.info("broadcast_cancelled", broadcast_id=broadcast_id.hex(), deliveries=cancelled)
    return 0.0
