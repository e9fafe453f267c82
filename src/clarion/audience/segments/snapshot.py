"""Keeping a segment's membership: the worker's job, for it may have to judge everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from clarion.audience.ports import Sealer
from clarion.audience.segments.audience import Span, scan
from clarion.audience.segments.compile import Compiled, compile_segment
from clarion.audience.segments.model import SnapshotJob
from clarion.audience.segments.ports import SnapshotStore, Sources
from clarion.audience.traits import TraitBlinder

LEASE_S: Final = 30.0
"""How long a worker may say nothing before another begins anew."""

FILL_LEASE_S: Final = 600.0
"""The same for a membership that the store lists by itself, in one statement: a million members take 10 s."""

REPORT_EVERY: Final = 10
"""Portions of 500 between two words on progress: about 0.3 s."""


async def keep_membership(
    store: SnapshotStore, sources: Sources, sealer: Sealer, stopping: Callable[[], bool]
) -> SnapshotJob | None:
    """Keep the membership of the segment that has waited longest; None where none waits. Raises Transient.

    Where the worker stops or dies in the middle, the membership before stays, and another worker begins anew.
    """
    job = await store.take(LEASE_S)
    if job is None:
        return None
    compiled = compile_segment(job.expression, TraitBlinder(job.tenant_id, sealer).term, job.as_of_ms)
    if compiled.bounds.is_exact:
        await store.report(job, (0, 0), FILL_LEASE_S)
        await store.fill(job, compiled.bounds.upper)
    elif not await _judge_all(job, compiled, store, sources, stopping):
        return job
    await store.finish(job)
    return job


async def _judge_all(
    job: SnapshotJob,
    compiled: Compiled,
    store: SnapshotStore,
    sources: Sources,
    stopping: Callable[[], bool],
) -> bool:
    """Add every member. False: it was not finished, because the worker stops or the segment was changed."""
    total = await sources.population.count(job.tenant_id, compiled.bounds.upper)
    examined = portions = 0
    async for portion, members in scan(job.tenant_id, compiled, job.as_of_ms, sources, Span()):
        await store.add(job, [member.user_id for member in members])
        examined += len(portion)
        if portions % REPORT_EVERY == 0 and not await store.report(job, (examined, total), LEASE_S):
            return False
        if stopping():
            return False
        portions += 1
    return True
