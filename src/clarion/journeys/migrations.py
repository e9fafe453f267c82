"""Migrations under way: every run of the old version that belongs to the share is moved once, by whichever worker.

Nothing is remembered between rounds: who was moved is not in the old version any more, so a worker that dies leaves
nothing half done. A migration is over when a whole round found nobody who is still to be moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from clarion.journeys.graph import Graph
from clarion.journeys.migrate import Plan, Stand, Target, is_in_share, move, move_back, place_of
from clarion.journeys.model import ASKED, Instance, Moved
from clarion.journeys.ports import Continuations, InstanceStore, JourneyCatalog, Planned
from clarion.kernel.clock import Clock

MigrationStatus: TypeAlias = Literal["running", "done", "rolling_back", "rolled_back"]

PAGE: Final = 500
SETTLE_MS: Final = 3_000
"""How long a migration stays open at least: entries may begin runs of the version before for a second (`catalog`)."""


class PlanNote(msgspec.Struct, frozen=True):
    """What was decided when a migration was asked for: the plan, why, and who did."""

    plan: Plan
    note: str = ""
    by: str = ""


class MigrationRecord(msgspec.Struct, frozen=True):
    """A migration. `percent`: of all users, by hash. `moved`: runs so far. `left_alone`: active runs that stayed."""

    migration_id: bytes
    tenant_id: bytes
    journey_id: bytes
    from_version: int
    to_version: int
    plan: PlanNote
    status: MigrationStatus
    percent: int
    created_ms: int
    updated_ms: int
    moved: int = 0
    left_alone: int = 0


class MigrationStore(Protocol):
    """Migrations, as people ask for them."""

    async def create(self, record: MigrationRecord) -> bool:
        """Keep one that is to be carried out. False: another one of the journey is under way. Raises Transient."""
        ...

    async def list(self, tenant_id: bytes, journey_id: bytes) -> Sequence[MigrationRecord]:
        """The last hundred of a journey, newest first. Raises Transient."""
        ...

    async def find(self, tenant_id: bytes, journey_id: bytes, migration_id: bytes) -> MigrationRecord | None:
        """One of a tenant's journey. Raises Transient."""
        ...

    async def roll_back(self, record: MigrationRecord, now_ms: int) -> bool:
        """Have it taken back. False: it was already, or another one is under way. Raises Transient."""
        ...


class MoveStore(Protocol):
    """Migrations and runs, as the worker moves them."""

    async def under_way(self) -> Sequence[MigrationRecord]:
        """Those to be carried out, oldest first. Raises Transient."""
        ...

    async def page(self, journey_id: bytes, version: int, after: bytes, limit: int) -> Sequence[Instance]:
        """A version's active runs by id, beyond `after`. Raises Transient."""
        ...

    async def keep(self, migration_id: bytes, stands: Sequence[tuple[bytes, Stand]]) -> None:
        """What takes runs back, by their ids. Before they are moved. Raises Transient."""
        ...

    async def read(self, migration_id: bytes, instance_ids: Sequence[bytes]) -> dict[bytes, Stand]:
        """What takes these runs back, as far as the migration moved them. Raises Transient."""
        ...

    async def count(self, migration_id: bytes, moved: int, now_ms: int) -> None:
        """Add to the runs that were moved. Raises Transient."""
        ...

    async def finish(self, record: MigrationRecord, status: MigrationStatus, left: int, now_ms: int) -> None:
        """Close it, if its status is still that of `record`. Raises Transient."""
        ...


class Ender(Protocol):
    """Ends runs that have no place in the new version."""

    async def end(self, instance_ids: Sequence[bytes]) -> None:
        """End them as exited. Raises Transient."""
        ...


class MigrationPorts(msgspec.Struct, frozen=True):
    """The outside, as migrations use it. `region`: whose runs are scheduled here."""

    moves: MoveStore
    catalog: JourneyCatalog
    instances: InstanceStore
    continuations: Continuations
    ender: Ender
    clock: Clock
    region: str


class _Round(msgspec.Struct):
    """What one round of a migration came to. `pending`: to be moved later; `left`: not to be moved at all."""

    moved: list[Moved] = []
    stands: list[tuple[bytes, Stand]] = []
    exits: list[bytes] = []
    pending: int = 0
    left: int = 0


async def carry_on(ports: MigrationPorts) -> int:
    """Take all migrations one round further; how many are still under way. Raises Transient."""
    open_ones = 0
    for record in await ports.moves.under_way():
        open_ones += not await _round(record, ports)
    return open_ones


async def _round(record: MigrationRecord, ports: MigrationPorts) -> bool:
    """Move whoever can be moved now; whether the migration is over."""
    is_back = record.status == "rolling_back"
    source = record.to_version if is_back else record.from_version
    keys = [(record.journey_id, record.from_version), (record.journey_id, record.to_version)]
    graphs = await ports.catalog.graphs(keys)
    old, new = (graphs.get(key) for key in keys)
    if old is None or new is None:
        return False
    after, pending, left = bytes(16), 0, 0
    while page := await ports.moves.page(record.journey_id, source, after, PAGE):
        after, now_ms = page[-1].instance_id, ports.clock.now_ms()
        if is_back:
            stands = await ports.moves.read(record.migration_id, [run.instance_id for run in page])
            found = _take_back(page, stands, (new, Target(record.from_version, old)), now_ms)
        else:
            found = _take_over(page, record, (old, Target(record.to_version, new)), now_ms)
        await _write(found, record, ports)
        pending, left = pending + found.pending, left + found.left
    now_ms = ports.clock.now_ms()
    if pending or now_ms < record.updated_ms + SETTLE_MS:
        return False
    await ports.moves.finish(record, "rolled_back" if is_back else "done", left, now_ms)
    return True


def _take_over(
    page: Sequence[Instance], record: MigrationRecord, ways: tuple[Graph, Target], now_ms: int
) -> _Round:
    found = _Round([], [], [])
    before, target = ways
    for run in page:
        if not is_in_share(record.journey_id, record.to_version, run.user_id, record.percent):
            found.left += 1
            continue
        step = place_of(run, record.plan.plan)
        if step is None:
            found.exits.append(run.instance_id)
            continue
        moved = move(run, step, before, target, now_ms)
        if moved is None:
            found.pending += 1
        else:
            found.moved.append(moved[0])
            found.stands.append((run.instance_id, moved[1]))
    return found


def _take_back(
    page: Sequence[Instance], stands: dict[bytes, Stand], ways: tuple[Graph, Target], now_ms: int
) -> _Round:
    found = _Round([], [], [])
    before, target = ways
    for run in page:
        stand = stands.get(run.instance_id)
        back = None if stand is None else move_back(run, stand, before, target, now_ms)
        if back is not None:
            found.moved.append(back)
        elif stand is not None and run.progress.phase == ASKED:
            found.pending += 1
        else:
            found.left += 1
    return found


async def _write(found: _Round, record: MigrationRecord, ports: MigrationPorts) -> None:
    if found.stands:
        await ports.moves.keep(record.migration_id, found.stands)
    won = await ports.instances.commit(found.moved)
    mine = [one.instance for one, is_won in zip(found.moved, won, strict=True) if is_won]
    found.pending += len(won) - len(mine)
    here = [one for one in mine if one.region == ports.region]
    if here:
        await ports.continuations.schedule(
            [Planned(one.instance_id, one.due_ms, one.seq, one) for one in here]
        )
    if found.exits:
        await ports.ender.end(found.exits)
    changed = len(mine) + len(found.exits)
    if changed:
        await ports.moves.count(record.migration_id, changed, ports.clock.now_ms())
