"""Runs of one journey on real stores, and workers that die."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from clarion.adapters.globaldb.instances import GlobalInstances
from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.entrypoints.journeying import make_nonce
from clarion.entrypoints.workers.journeys import rebuild
from clarion.journeys.compile import compile_journey
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.model import Due, Instance, Progress
from clarion.journeys.ports import Effects, JourneyRecord, NewRun, Planned
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids, split_ids
from clarion.testing.journeys import CountedMoves, FakeContexts, FixedJourneys, NoFacts, UnwatchedSteps

LEASE_MS = 20
"""So short that nobody waits long for a dead worker's runs. A living one that is slower loses, and looks anew."""


class Killed(BaseException):
    """The process ends here: nothing catches this."""


class Dying:
    """A watcher that ends drives at each point: the first one that gets there, then one of every few."""

    def __init__(self, seed: int) -> None:
        self.deaths: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._left: Counter[str] = Counter()

    def reached(self, point: str, count: int) -> None:
        """Die here, or do not."""
        if not count:
            return
        self._left[point] -= 1
        if self._left[point] < 0:
            self._left[point] = self._chance.randint(2, 12)
            self.deaths[point] += 1
            raise Killed


@dataclass
class Track:
    """The stores of a region."""

    pool: asyncpg.Pool
    clients: ValkeyClients
    instances: GlobalInstances
    continuations: ValkeyContinuations
    region: str
    clock: StoreClock = field(default_factory=StoreClock)
    moves: CountedMoves = field(default_factory=CountedMoves)
    contexts: FakeContexts = field(default_factory=FakeContexts)

    def journey(self, definition: dict[str, Any]) -> FixedJourneys:
        """A journey of some tenant."""
        compiled = compile_journey(definition)
        assert compiled.graph is not None, compiled.findings
        ids = split_ids(make_ids(2, self.clock.now_ms()))
        return FixedJourneys(JourneyRecord(ids[0], ids[1], "tests", "active", 1, 0, 0), compiled.graph)

    def ports(
        self, journey: FixedJourneys, effects: Effects, watcher: Dying | UnwatchedSteps | None = None
    ) -> EnginePorts:
        """What drives that journey's runs."""
        return EnginePorts(
            journey,
            self.instances,
            self.contexts,
            self.continuations,
            NoFacts(),
            effects,
            self.clock,
            make_nonce,
            watcher or UnwatchedSteps(),
            self.moves,
        )

    async def enter(self, journey: FixedJourneys, number: int) -> list[bytes]:
        """Let so many users in, and say when to look at them."""
        now_ms = self.clock.now_ms()
        record = journey.record
        runs = [
            Instance(
                ident,
                record.tenant_id,
                record.journey_id,
                1,
                user_id,
                self.region,
                is_test=False,
                status="active",
                seq=0,
                step="",
                due_ms=now_ms,
                progress=Progress(),
                context_version=0,
                entered_ms=now_ms,
            )
            for user_id, ident in enumerate(split_ids(make_ids(number, now_ms)))
        ]
        entered = await self.instances.enter([NewRun(run, run.instance_id, bytes(16)) for run in runs])
        assert {one.result for one in entered} == {"created"}
        await self.continuations.schedule([Planned(run.instance_id, now_ms, 0, run) for run in runs])
        return [run.instance_id for run in runs]

    async def move(self, ports: EnginePorts, limit: int = 100) -> int:
        """Move what is due, as a worker does; how many runs were claimed."""
        claims = await self.continuations.claim(limit, LEASE_MS)
        held = {claim.instance_id: claim for claim in claims}
        await drive(dict.fromkeys(held, (Due(),)), ports, held)
        return len(claims)

    async def load(self, idents: list[bytes]) -> list[Instance]:
        """The truth about runs that are there."""
        found = await self.instances.load(idents)
        return [run for run in found if run is not None]

    async def lose_the_index(self) -> None:
        """Lose what Valkey has of this region, in the middle of everything."""
        tag = f"*{{{self.region}:0}}*"
        cursor: Any = 0
        while True:
            cursor, keys = await self.clients.write.execute_command(
                "SCAN", cursor, "MATCH", tag, "COUNT", 1_000
            )
            if keys:
                await self.clients.write.execute_command("UNLINK", *keys)
            if not int(cursor):
                return

    async def rebuild(self) -> None:
        """Make the index anew, as workers do when they find it gone."""
        await rebuild(self.instances, self.continuations, self.region)


def as_uuid(ident: bytes) -> uuid.UUID:
    """An id, as PostgreSQL has it."""
    return uuid.UUID(bytes=ident)
