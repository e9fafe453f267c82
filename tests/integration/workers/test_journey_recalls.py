"""A run that is left takes back what has not gone out, also when whoever ended it did not come to that."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace as changed

from clarion.bootstrap import Worker
from clarion.entrypoints.journeying import JourneyParts, build_journeys, open_facts, trigger_ports
from clarion.entrypoints.workers.journeys import engine_ports
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.model import Command, Context, Done, Due, Ended, Recall
from clarion.journeys.ports import Claim, JourneyRecord, JourneyVersion
from clarion.journeys.trigger import Begun, EntryAsk, trigger
from clarion.kernel.errors import Transient
from clarion.kernel.ids import make_ids
from tests.integration.api.support import Caller
from tests.integration.workers.journey_support import Runs
from tests.integration.workers.test_journey_effects import runs

__all__ = ["runs"]

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEFINITION = {
    "name": "left",
    "trigger": {"type": "api"},
    "steps": [
        {
            "id": "hello",
            "type": "notification",
            "channels": ["email"],
            "category": "transactional",
            "data": {"subject": "Hello", "body": "Hello"},
        },
        {"id": "later", "type": "delay", "delay": "1h"},
    ],
}


@dataclass
class Faulty:
    """Effects of which recalls fail as often as they are told to; the process may also die before them."""

    effects: Any
    fails: int = 0
    dies: bool = False

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """As the real ones, where it is not to fail."""
        if any(isinstance(command, Recall) for command, _ in commands):
            if self.dies:
                self.dies = False
                raise KeyboardInterrupt
            if self.fails:
                self.fails -= 1
                raise Transient("the store is away")
        return await self.effects.carry_out(commands)


@dataclass(frozen=True)
class Left:
    """A run that waits, with a message that nobody has sent."""

    runs: Runs
    parts: JourneyParts
    ports: EnginePorts
    faulty: Faulty
    ident: bytes

    async def leave(self) -> None:
        """Somebody ends it."""
        await drive({self.ident: (Ended("bought", "exited"),)}, self.ports)

    async def come_back(self) -> None:
        """Its time comes again."""
        await drive({self.ident: (Due(),)}, self.ports, {self.ident: Claim(self.ident, 1)})

    async def stands(self) -> tuple[str, str]:
        """How the run stands, and how its message."""
        (run,) = await self.parts.instances.load([self.ident])
        assert run is not None
        async with self.runs.worker.region.pools.pipeline() as connection:
            tenant_id = self.runs.caller.tenant_id
            status = await connection.fetchval(
                "SELECT status FROM notifications WHERE tenant_id = $1", tenant_id
            )
        return run.status, status


@pytest_asyncio.fixture(loop_scope="session")
async def left(runs: Runs, worker: Worker, caller: Caller) -> AsyncGenerator[Left]:
    parts = build_journeys(worker.region, worker.global_pool)
    now_ms = worker.clock.now_ms()
    journey_id = make_ids(1, now_ms)
    record = JourneyRecord(journey_id, caller.tenant_id, "left", "active", 1, now_ms, now_ms)
    version = JourneyVersion(journey_id, 1, json.dumps(DEFINITION).encode(), now_ms)
    assert await parts.store.create(record, version)
    entry = trigger_ports(parts, worker.region, open_facts(worker.region))
    (begun,) = await trigger([EntryAsk(caller.tenant_id, "left", "ada")], entry)
    assert isinstance(begun, Begun)
    faulty = Faulty(runs.parts.effects)
    ports = changed(engine_ports(parts, worker, runs.parts), effects=faulty)
    await drive({begun.instance_id: (Due(),)}, ports)
    yield Left(runs, parts, ports, faulty, begun.instance_id)


async def test_a_run_that_is_left_takes_its_messages_back(left: Left):
    assert await left.stands() == ("active", "queued")
    await left.leave()
    assert await left.stands() == ("exited", "cancelled")


async def test_what_could_not_be_taken_back_is_tried_again(left: Left):
    left.faulty.fails = 2
    await left.leave()
    assert await left.stands() == ("exited", "queued")
    await left.come_back()
    await left.come_back()
    assert await left.stands() == ("exited", "cancelled")


async def test_who_dies_before_it_leaves_it_to_the_next(left: Left):
    left.faulty.dies = True
    with pytest.raises(KeyboardInterrupt):
        await left.leave()
    assert await left.stands() == ("exited", "queued")
    await left.come_back()
    assert await left.stands() == ("exited", "cancelled")
