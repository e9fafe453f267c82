"""Recording how deliveries end, or go on: in Postgres with their events, then in the queue.

Outcomes outlast an outage of Postgres; what another worker took over meanwhile is left to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from clarion.contracts.work import WorkItem
from clarion.delivery.conclude import Closing, conclusion_of, event_of
from clarion.delivery.model import Job
from clarion.delivery.run import DispatchPorts, Ready, Run
from clarion.kernel.errors import Transient

CONCLUDE_PATIENCE_S: Final = 300.0
"""How long an outcome is held while Postgres is away. After that the sweeper settles the attempt as an unseen one."""

RELEASED: Final = frozenset({"failed", "expired", "blocked", "cancelled"})


async def finish(closings: Sequence[Closing], run: Run) -> None:
    """Record closings with their events, then tell the queue. Raises Transient after CONCLUDE_PATIENCE_S."""
    if not closings:
        return
    done = await _conclude(closings, run.ports)
    for closing in closings:
        if closing.job.item.delivery_id in done:
            run.report.conclusions[closing.job.item.channel, closing.status] += 1
        else:
            run.report.fenced += 1
    run.report.closed.extend(closings)
    again = [
        replace(closing.job.item, due_ms=closing.due_ms)
        for closing in closings
        if not closing.final and closing.job.item.delivery_id in done
    ]
    await run.claimed.postpone(
        [*again, *after_a_lease([closing.job for closing in closings], done, run.ports)]
    )
    await run.claimed.ack(
        [closing.job.item for closing in closings if closing.final and closing.job.item.delivery_id in done]
    )


async def _conclude(closings: Sequence[Closing], ports: DispatchPorts) -> set[bytes]:
    conclusions = [conclusion_of(closing) for closing in closings]
    events = [event_of(closing) for closing in closings]
    give_up = ports.clock.monotonic() + CONCLUDE_PATIENCE_S
    while True:
        try:
            return await ports.store.conclude(conclusions, events)
        except Transient:
            if ports.clock.monotonic() > give_up:
                raise
            await ports.pause(0.25 + ports.random())


async def release(ready: Sequence[Ready], closings: Sequence[Closing], ports: DispatchPorts) -> None:
    """Give back the daily places of those that were not sent after all."""
    unsent = {c.job.item.delivery_id for c in closings if c.status in RELEASED}
    caps = [request for one in ready if one.job.item.delivery_id in unsent for request in one.caps]
    if caps:
        with contextlib.suppress(Transient):
            # The message is settled. A place that cannot be given back now stays taken until its day ends.
            await ports.allowances.release(caps)


def after_a_lease(jobs: Sequence[Job], ours: set[bytes], ports: DispatchPorts) -> list[WorkItem]:
    """The items of jobs that are not `ours`, for when whoever took them over should have ended them."""
    due_ms = ports.clock.now_ms() + ports.lease_ms
    return [replace(job.item, due_ms=due_ms) for job in jobs if job.item.delivery_id not in ours]
