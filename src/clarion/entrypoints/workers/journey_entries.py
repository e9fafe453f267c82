"""The lane of the journeys role that lets users in of itself: segments, dates and schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.globaldb.journey_rounds import GlobalRounds
from clarion.adapters.postgres.journey_members import PostgresJourneyMembers
from clarion.journeys.entries import Cursor, RoundPorts, Watched, find_due, find_watched, work_off
from clarion.kernel.errors import Transient
from clarion.kernel.ids import format_id

if TYPE_CHECKING:
    from clarion.bootstrap import Worker
    from clarion.journeys.trigger import TriggerPorts

EVERY_S: Final = 1.0
"""How late a schedule's time is noticed."""

PAGES: Final = 20
"""Pages of one journey at a time: then the others have their turn."""

LEASE_MS: Final = 60_000
"""How long a journey waits whose worker died in a round."""

_log = structlog.get_logger("journeys")


def round_ports(worker: Worker, entry: TriggerPorts) -> RoundPorts:
    """What rounds use in a worker."""
    region = worker.region
    return RoundPorts(
        GlobalRounds(worker.global_pool, region.settings.region),
        PostgresJourneyMembers(region.pools),
        region.audience,
        region.configs,
        entry,
    )


async def let_in(ports: RoundPorts) -> float:
    """Work off what is due of each journey, some pages of it; seconds until the next look."""
    has_more = False
    for watched, _ in await find_due(await find_watched(ports), ports):
        journey_id, now_ms = watched.record.journey_id, ports.entry.clock.now_ms()
        if not await ports.rounds.lease(journey_id, now_ms, now_ms + LEASE_MS):
            continue
        # Somebody may have worked on it since it was looked at.
        for _, cursor in await find_due([watched], ports):
            try:
                has_more |= await _work_off(watched, cursor, ports)
            except Transient:
                raise
            except Exception:  # noqa: BLE001  a mistake of ours in one journey must not hold up the others
                _log.exception("journey_round_failed", journey_id=format_id(journey_id))
        await ports.rounds.lease(journey_id, now_ms + LEASE_MS, 0)
    return 0.0 if has_more else EVERY_S


async def _work_off(watched: Watched, cursor: Cursor, ports: RoundPorts) -> bool:
    """Some pages of a round; whether there are more."""
    for _ in range(PAGES):
        cursor = await work_off(watched, cursor, ports)
        if not cursor.round_ms:
            return False
    return True
