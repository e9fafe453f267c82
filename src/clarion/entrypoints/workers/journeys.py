"""The journeys role: moves runs whose time has come, and whatever reaches them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.globaldb.journey_migrations import GlobalMoves
from clarion.adapters.telemetry.metrics import Metrics
from clarion.audience.events import EventProperties
from clarion.entrypoints.journey_steering import migration_ports
from clarion.entrypoints.journeying import (
    JourneyParts,
    RunStarter,
    build_journeys,
    make_nonce,
    open_facts,
    trigger_ports,
)
from clarion.entrypoints.workers.journey_effects import EffectParts, bring_answers, open_effects
from clarion.entrypoints.workers.journey_entries import let_in, round_ports
from clarion.entrypoints.workers.journey_events import (
    events_listener,
    listen_to_messages,
    listen_to_users,
    messages_listener,
)
from clarion.entrypoints.workers.journey_keeping import CountedEffects, keep_journeys
from clarion.entrypoints.workers.journey_migrations import move_runs
from clarion.entrypoints.workers.lane import run_lane
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.listen import ListenPorts
from clarion.journeys.model import Due
from clarion.journeys.ports import Claim, Continuations, InstanceStore, Planned
from clarion.kernel.errors import Transient
from clarion.kernel.ids import format_id

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

DUE_BATCH: Final = 500
LANES: Final = 3
"""Batches under way: one is decided while others wait for their commits. With two the process idled a third of it."""

BROKEN_MS: Final = 300_000
"""When a run is tried again that could not be driven because of a mistake of ours."""

IDLE_S: Final = 0.05
REBUILD_EVERY_S: Final = 2.0
REBUILD_PAGE: Final = 1_000

_DUE: Final = (Due(),)
_log = structlog.get_logger("journeys")


class Steps:
    """Counts transitions for the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def moved(self, committed: int, lost: int) -> None:
        """Add; see `drive.Counter`."""
        self._metrics.journeys.moves.labels("committed").inc(committed)
        self._metrics.journeys.moves.labels("lost").inc(lost)


async def run_journeys(worker: Worker, stop: asyncio.Event) -> None:
    """Move runs until `stop` is set. Any number of workers share the work."""
    parts = build_journeys(worker.region, worker.global_pool)
    lease_ms = int(worker.settings.lease_s * 1000)
    facts = open_facts(worker.region)
    entry = trigger_ports(parts, worker.region, facts)
    migrating = migration_ports(parts, worker.region, GlobalMoves(worker.global_pool))
    async with open_effects(worker.region, worker.broadcasts.accept, RunStarter(entry)) as effects:
        engine = engine_ports(parts, worker, effects)
        listen = ListenPorts(
            engine, entry, EventProperties(worker.region.events, worker.region.keyring, worker.region.sealer)
        )
        users, messages = events_listener(worker.log), messages_listener(worker.log)
        index = (parts.instances, parts.continuations)
        await asyncio.gather(
            run_lane("journeys-rebuild", partial(rebuild, *index, worker.settings.region), stop),
            *(run_lane(f"journeys-due-{n}", partial(move_due, engine, lease_ms), stop) for n in range(LANES)),
            run_lane("journeys-answers", partial(bring_answers, effects.slow, engine), stop),
            run_lane("journeys-events", partial(listen_to_users, users, listen), stop),
            run_lane("journeys-entries", partial(let_in, round_ports(worker, entry)), stop),
            run_lane("journeys-messages", partial(listen_to_messages, messages, engine), stop),
            run_lane("journeys-migrate", partial(move_runs, migrating), stop),
            keep_journeys(worker, parts, stop),
        )


def engine_ports(parts: JourneyParts, worker: Worker, effects: EffectParts) -> EnginePorts:
    """What driving uses in a worker."""
    return EnginePorts(
        parts.catalog,
        parts.instances,
        parts.contexts,
        parts.continuations,
        effects.facts,
        CountedEffects(effects.effects, worker.metrics.journeys),
        worker.clock,
        make_nonce,
        worker.dispatch.watcher,
        Steps(worker.metrics),
    )


async def move_due(ports: EnginePorts, lease_ms: int) -> float:
    """Move the runs whose time has come, a batch of them; seconds until the next look."""
    claims = await ports.continuations.claim(DUE_BATCH, lease_ms)
    if not claims:
        return IDLE_S
    try:
        await _drive_claimed(claims, ports)
    except Transient:
        raise
    except Exception:  # noqa: BLE001  a mistake of ours in one run must not hold up the others
        _log.exception("batch_failed", runs=len(claims))
        await _drive_apart(claims, ports)
    return 0.0 if len(claims) == DUE_BATCH else IDLE_S


async def _drive_claimed(claims: Sequence[Claim], ports: EnginePorts) -> None:
    held = {claim.instance_id: claim for claim in claims}
    await drive(dict.fromkeys(held, _DUE), ports, held)


async def _drive_apart(claims: Sequence[Claim], ports: EnginePorts) -> None:
    """Each run by itself, so that one which cannot be driven does not hold up the others; it is tried again later."""
    later_ms = ports.clock.now_ms() + BROKEN_MS
    for claim in claims:
        try:
            await _drive_claimed([claim], ports)
        except Transient:
            raise
        except Exception:  # noqa: BLE001  see above
            _log.exception("run_failed", instance_id=format_id(claim.instance_id))
            await ports.continuations.settle([(claim, Planned(claim.instance_id, later_ms, 0))])


async def rebuild(instances: InstanceStore, continuations: Continuations, region: str) -> float:
    """Schedule every active run anew where the index was lost; seconds until the next look."""
    if await continuations.holds_marker():
        return REBUILD_EVERY_S
    after, found = bytes(16), 0
    while page := await instances.page_active(region, after, REBUILD_PAGE):
        await continuations.schedule([Planned(ident, due_ms, seq) for ident, due_ms, seq in page])
        after, found = page[-1][0], found + len(page)
    await continuations.mark()
    if found:
        _log.info("continuations_rebuilt", runs=found)
    return REBUILD_EVERY_S
