"""The journeys role: moves runs whose time has come, and whatever reaches them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.entrypoints.journeying import JourneyParts, build_journeys
from clarion.entrypoints.workers.journey_effects import EffectParts, bring_answers, open_effects
from clarion.entrypoints.workers.lane import run_lane
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.model import Due
from clarion.journeys.outside import Starting
from clarion.journeys.ports import Planned

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

DUE_BATCH: Final = 500
LANES: Final = 2
"""Batches under way: one is decided while the other waits for its commit."""

LEASE_MS: Final = 30_000
"""How long a run that a dead worker held stands still."""

IDLE_S: Final = 0.05
REBUILD_EVERY_S: Final = 2.0
REBUILD_PAGE: Final = 1_000

NONCE_BITS: Final = 40

_DUE: Final = (Due(),)
_log = structlog.get_logger("journeys")


async def run_journeys(worker: Worker, stop: asyncio.Event) -> None:
    """Move runs until `stop` is set. Any number of workers share the work."""
    parts = build_journeys(worker.region, worker.global_pool)
    async with open_effects(worker.region, worker.broadcasts.accept, Starts()) as effects:
        ports = engine_ports(parts, worker, effects)
        await asyncio.gather(
            run_lane("journeys-rebuild", partial(rebuild, parts, worker.settings.region), stop),
            *(run_lane(f"journeys-due-{n}", partial(move_due, ports), stop) for n in range(LANES)),
            run_lane("journeys-answers", partial(bring_answers, effects.slow, ports), stop),
        )


def engine_ports(parts: JourneyParts, worker: Worker, effects: EffectParts) -> EnginePorts:
    """The outside, as the engine uses it in a worker."""
    return EnginePorts(
        catalog=parts.catalog,
        instances=parts.instances,
        contexts=parts.contexts,
        continuations=parts.continuations,
        facts=effects.facts,
        effects=effects.effects,
        clock=worker.clock,
        nonce=make_nonce,
        watcher=worker.dispatch.watcher,
        counter=Uncounted(),
    )


class Uncounted:
    """`journeys.drive.Counter` that looks away."""

    def moved(self, committed: int, lost: int) -> None:
        """Nothing."""


class Starts:
    """`journeys.outside.Starter`."""

    async def start(self, starts: Sequence[Starting]) -> list[str]:
        """Begin runs; see `Starter.start`."""
        return ["not_possible" for _ in starts]


async def move_due(ports: EnginePorts) -> float:
    """Move the runs whose time has come, a batch of them; seconds until the next look."""
    claims = await ports.continuations.claim(DUE_BATCH, LEASE_MS)
    if not claims:
        return IDLE_S
    held = {claim.instance_id: claim for claim in claims}
    await drive(dict.fromkeys(held, _DUE), ports, held)
    return 0.0 if len(claims) == DUE_BATCH else IDLE_S


async def rebuild(parts: JourneyParts, region: str) -> float:
    """Schedule every active run anew where the index was lost; seconds until the next look."""
    if await parts.continuations.holds_marker():
        return REBUILD_EVERY_S
    after, found = bytes(16), 0
    while page := await parts.instances.page_active(region, after, REBUILD_PAGE):
        await parts.continuations.schedule([Planned(ident, due_ms, seq) for ident, due_ms, seq in page])
        after, found = page[-1][0], found + len(page)
    await parts.continuations.mark()
    if found:
        _log.info("continuations_rebuilt", runs=found)
    return REBUILD_EVERY_S


def make_nonce() -> int:
    """Random bits for the version of a context."""
    return secrets.randbits(NONCE_BITS)
