"""Runs moved to another version and taken back: asked for over HTTP, carried out by a worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.globaldb.journey_migrations import GlobalMoves
from clarion.bootstrap import Worker
from clarion.entrypoints.journey_steering import migration_ports
from clarion.entrypoints.journeying import RunStarter, build_journeys, trigger_ports
from clarion.entrypoints.workers.journey_effects import open_effects, open_facts
from clarion.entrypoints.workers.journeys import engine_ports
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.migrations import SETTLE_MS, MigrationPorts, carry_on
from clarion.journeys.model import Due
from clarion.kernel.ids import parse_id
from clarion.testing.clock import ManualClock
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


def delay(name: str, duration: str = "2d") -> dict[str, Any]:
    return {"id": name, "type": "delay", "duration": duration}


def journey(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": "welcome", "trigger": {"type": "api"}, "steps": list(steps)}


FIRST = journey(delay("a"), delay("b"))
SECOND = journey(delay("c", "3d"), delay("b"))


@dataclass(frozen=True)
class Mover:
    """What drives runs, and what moves them."""

    engine: EnginePorts
    ports: MigrationPorts

    async def settle(self) -> None:
        """Carry migrations on to their end, as some seconds later."""
        later = ManualClock(self.engine.clock.now_ms() + 2 * SETTLE_MS)
        for _ in range(10):
            if not await carry_on(msgspec.structs.replace(self.ports, clock=later)):
                return
        pytest.fail("a migration does not end")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def mover(worker: Worker) -> AsyncGenerator[Mover]:
    parts = build_journeys(worker.region, worker.global_pool)
    moves = migration_ports(parts, worker.region, GlobalMoves(worker.global_pool))
    starter = RunStarter(trigger_ports(parts, worker.region, open_facts(worker.region)))
    async with open_effects(worker.region, worker.broadcasts.accept, starter) as effects:
        yield Mover(engine_ports(parts, worker, effects), moves)


async def publish(caller: Caller) -> str:
    made = await caller.call("POST /journeys", FIRST)
    assert made.status == 201, made.body
    return str(made.json()["journey_id"])


async def enter(caller: Caller, mover: Mover, path: str, *names: str) -> list[str]:
    """Runs of new users that stand at their first step."""
    runs: list[str] = []
    for name in names:
        await caller.user(name, email=f"{name}@example.com")
        answer = await caller.call(f"POST {path}/trigger", {"user_id": name})
        runs.append(answer.json()["journey_instance_id"])
    await drive({parse_id(run) or b"": (Due(),) for run in runs}, mover.engine)
    return runs


async def migrate(caller: Caller, path: str, **fields: Any) -> dict[str, Any]:
    answer = await caller.call(f"POST {path}/migrations", {"from_version": 1, **fields})
    assert answer.status == (200 if fields.get("dry_run") else 202), answer.body
    return answer.json()


async def show(caller: Caller, path: str, run: str) -> dict[str, Any]:
    return (await caller.call(f"GET {path}/instances/{run}")).json()


async def test_a_dry_run_says_what_would_become_and_changes_nothing(caller: Caller, mover: Mover):
    path = f"/journeys/{await publish(caller)}"
    runs = await enter(caller, mover, path, "ada", "bob")
    await caller.call(f"PUT {path}", SECOND)

    told = await migrate(caller, path, dry_run=True)

    assert told["status"] == "dry_run"
    assert told["ways"] == [
        {"step": "a", "how": "successor", "to": ["b"], "runs": 2},
        {"step": "b", "how": "same", "to": ["b"], "runs": 0},
    ]
    assert (told["added"], told["removed"], told["changed"]) == (["c"], ["a"], [])
    assert (await caller.call(f"GET {path}/migrations")).json() == {"migrations": []}
    assert (await show(caller, path, runs[0]))["version"] == 1


async def test_runs_are_moved_as_the_map_says_and_taken_back(caller: Caller, mover: Mover):
    path = f"/journeys/{await publish(caller)}"
    runs = await enter(caller, mover, path, "ada", "bob")
    before = [await show(caller, path, run) for run in runs]
    await caller.call(f"PUT {path}", SECOND)
    begun = await migrate(caller, path, steps={"a": "c"}, note="c is better")
    assert (await caller.call(f"POST {path}/migrations", {"from_version": 1})).status == 409
    await mover.settle()

    done = (await caller.call(f"GET {path}/migrations/{begun['migration_id']}")).json()
    moved = [await show(caller, path, run) for run in runs]
    assert (done["status"], done["moved"], done["left_alone"], done["note"]) == ("done", 2, 0, "c is better")
    assert {(run["version"], run["step"], run["status"]) for run in moved} == {(2, "c", "active")}
    assert moved[0]["timeline"][-2]["detail"] == "version 1, step a"

    back = await caller.call(f"POST {path}/migrations/{begun['migration_id']}/rollback")
    assert (back.status, back.json()["status"]) == (202, "rolling_back")
    await mover.settle()

    again = [await show(caller, path, run) for run in runs]
    assert [(run["version"], run["step"], run["due_at"]) for run in again] == [
        (1, "a", run["due_at"]) for run in before
    ]
    (listed,) = (await caller.call(f"GET {path}/migrations")).json()["migrations"]
    assert listed["status"] == "rolled_back"
    assert (await caller.call(f"POST {path}/migrations/{begun['migration_id']}/rollback")).status == 409


async def test_a_share_is_moved_and_the_rest_stays(caller: Caller, mover: Mover):
    path = f"/journeys/{await publish(caller)}"
    runs = await enter(caller, mover, path, *(f"user-{n}" for n in range(12)))
    await caller.call(f"PUT {path}", SECOND)

    first = await migrate(caller, path, percent=30)
    await mover.settle()
    some = {run for run in runs if (await show(caller, path, run))["version"] == 2}
    told = (await caller.call(f"GET {path}/migrations/{first['migration_id']}")).json()
    await migrate(caller, path, percent=100)
    await mover.settle()

    assert told["moved"] == len(some) < len(runs)
    assert told["left_alone"] == len(runs) - len(some)
    assert {(await show(caller, path, run))["version"] for run in runs} == {2}


async def test_runs_without_a_place_leave(caller: Caller, mover: Mover):
    path = f"/journeys/{await publish(caller)}"
    (run,) = await enter(caller, mover, path, "ada")
    await caller.call(f"PUT {path}", SECOND)
    await migrate(caller, path, steps={"a": None})
    await mover.settle()

    left = await show(caller, path, run)
    assert (left["status"], left["reason"], left["version"]) == ("exited", "migrated", 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"from_version": 1, "to_version": 1}, 400),
        ({"from_version": 7}, 422),
        ({"from_version": 1, "to_version": 9}, 422),
        ({"from_version": 1, "steps": {"a": "nowhere"}}, 400),
        ({"from_version": 1, "steps": {"nowhere": "a"}}, 400),
        ({"from_version": 1, "percent": 0}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(caller: Caller, body: dict[str, Any], status: int):
    path = f"/journeys/{await publish(caller)}"
    await caller.call(f"PUT {path}", SECOND)
    assert (await caller.call(f"POST {path}/migrations", body)).status == status


async def test_another_tenants_migration_does_not_exist(caller: Caller, other: Caller, mover: Mover):
    path = f"/journeys/{await publish(caller)}"
    await caller.call(f"PUT {path}", SECOND)
    ident = (await migrate(caller, path))["migration_id"]
    mine = f"/journeys/{await publish(other)}"

    lines = [
        f"GET {path}/migrations",
        f"GET {path}/migrations/{ident}",
        f"GET {mine}/migrations/{ident}",
        f"POST {path}/migrations/{ident}/rollback",
        f"POST {mine}/migrations/{ident}/rollback",
    ]
    assert {(await other.call(line)).status for line in lines} == {404}
    assert (await other.call(f"POST {path}/migrations", {"from_version": 1})).status == 404
    await mover.settle()
