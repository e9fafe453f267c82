"""Runs that somebody ends or wakes by hand, from a process that drives no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.adapters.postgres.journey_effects import PostgresMessages
from clarion.bootstrap import Region
from clarion.entrypoints.journeying import JourneyParts, make_nonce
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.graph import Graph
from clarion.journeys.migrate import EXIT_REASON
from clarion.journeys.migrations import MigrationPorts, MoveStore
from clarion.journeys.model import Command, Context, Done, Ended, Facts, Instance, Recall, Status
from clarion.journeys.ports import Planned

PAGE: Final = 1_000


class _NoFacts:
    """`ports.FactSource` for ends: nothing is judged."""

    async def read(self, wanted: Sequence[tuple[Instance, Graph, int]]) -> list[Facts]:
        """Nothing of anybody."""
        return [Facts()] * len(wanted)


class _Recalls:
    """`ports.Effects` of runs that end: their messages that have not gone out are taken back."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._messages = PostgresMessages(region.pools)

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """Cancel them; see `Effects.carry_out`."""
        idents = sorted(
            {
                ident
                for command, _ in commands
                if isinstance(command, Recall)
                for ident in command.notification_ids
            }
        )
        items = await self._messages.recall(idents, self._region.clock.now_ms())
        if items:
            await self._region.queue.remove(items)
        return [None] * len(commands)


class _Unwatched:
    """`drive.Watcher` and `drive.Counter` that note nothing: a run in thousands ends by hand."""

    def reached(self, point: str, count: int) -> None:
        """Nothing."""

    def moved(self, committed: int, lost: int) -> None:
        """Nothing."""


_SILENT: Final = _Unwatched()


async def end_runs(
    instance_ids: Sequence[bytes],
    reason: str,
    parts: JourneyParts,
    region: Region,
    status: Status = "stopped",
) -> None:
    """End those of these runs that are active, at once, whatever they wait for. Raises Transient."""
    ports = EnginePorts(
        parts.catalog,
        parts.instances,
        parts.contexts,
        parts.continuations,
        _NoFacts(),
        _Recalls(region),
        region.clock,
        make_nonce,
        _SILENT,
        _SILENT,
    )
    await drive(dict.fromkeys(instance_ids, (Ended(reason, status),)), ports)


async def wake(parts: JourneyParts, journey_id: bytes, now_ms: int, *, due_only: bool = False) -> None:
    """Have a journey's active runs looked at now; `due_only`: those whose time has come, which a pause put off.

    Raises Transient; the rest is then looked at when its time comes, or when it is woken again.
    """
    after = bytes(16)
    while page := await parts.runs.page_active(journey_id, after, PAGE):
        await parts.continuations.schedule(
            [Planned(ident, now_ms, seq) for ident, due_ms, seq in page if due_ms <= now_ms or not due_only]
        )
        after = page[-1][0]


class MigrationEnder:
    """`journeys.migrations.Ender`: runs that have no place in a new version are left."""

    def __init__(self, parts: JourneyParts, region: Region) -> None:
        self._parts = parts
        self._region = region

    async def end(self, instance_ids: Sequence[bytes]) -> None:
        """End them as exited; see `Ender.end`."""
        await end_runs(instance_ids, EXIT_REASON, self._parts, self._region, status="exited")


def migration_ports(parts: JourneyParts, region: Region, moves: MoveStore) -> MigrationPorts:
    """What migrations are carried out with."""
    return MigrationPorts(
        moves,
        parts.catalog,
        parts.instances,
        parts.continuations,
        MigrationEnder(parts, region),
        region.clock,
        region.settings.region,
    )
