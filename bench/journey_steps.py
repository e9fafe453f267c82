"""`journey_steps`: durable steps a second of one worker process, beside DBOS on the same PostgreSQL in the same run.

Both run a workflow of five steps that do nothing, each of which is durable before the next one begins. Ours are
effects whose answer comes at once: a step is decided and committed, carried out, and its answer committed with the next
decision; claims, leases, compare-and-set, events and counts are those of production. DBOS runs the same five as steps
of a workflow, by as many threads as were best for it (1, 4, 8, 16 and 32 were tried, and its asyncio: 240, 350, 380,
440, 310 and 410 steps/s).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import asyncpg
import uvloop
from dbos import DBOS

from bench.harness import Result, finish, median, run_in_process, say
from clarion.adapters.globaldb.instances import GlobalInstances
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.valkey.client import connect
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.entrypoints.journeying import make_nonce
from clarion.entrypoints.tuning import settle_memory
from clarion.entrypoints.workers.journeys import LANES, move_due
from clarion.journeys.drive import EnginePorts
from clarion.journeys.graph import Entry, Graph, Step, WebhookSpec
from clarion.journeys.model import Command, Context, Done, Instance, Progress, Recall
from clarion.journeys.ports import JourneyRecord, NewRun, Planned
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids, split_ids
from clarion.testing.database import prepare_databases
from clarion.testing.journeys import CountedMoves, FakeContexts, FixedJourneys, NoFacts, UnwatchedSteps
from clarion.testing.stores import SharedStores, shared_stores

BAR_RATE: Final = 10_000
BAR_RATIO: Final = 40
ROUNDS: Final = 3
RUNS: Final = 20_000
STEPS: Final = 5
WORKFLOWS: Final = 300
"""DBOS needs about a second for so many."""

LEASE_MS: Final = 30_000
REGION: Final = "bench"
TENANT: Final = bytes(15) + b"\x01"


def run() -> Result:
    """Alternate between the engine and DBOS; the ratio of the medians."""
    with tempfile.TemporaryDirectory() as folder, shared_stores(Path(folder)) as stores:
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(ROUNDS):
            ours.append(run_in_process(_drive, stores, RUNS))
            theirs.append(run_in_process(_run_dbos, stores, WORKFLOWS))
            say(f"round {number + 1}: {ours[-1]:,.0f} steps/s, DBOS {theirs[-1]:,.0f} steps/s")
    value, baseline = median(ours), median(theirs)
    return finish(
        Result(
            "journey_steps",
            round(value),
            "durable steps/s",
            f"≥ {BAR_RATE} in one process, ratio ≥ {BAR_RATIO}",
            value >= BAR_RATE and value / baseline >= BAR_RATIO,
            baseline=round(baseline),
            ratio=round(value / baseline, 1),
            detail={
                "runs": RUNS,
                "steps_of_a_run": STEPS,
                "commits_of_a_run": STEPS + 1,
                "dbos_threads": THREADS,
            },
        )
    )


# ------------------------------------------------------------------------------------------------------------- ours


class AtOnce:
    """Effects that do nothing and are done."""

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """Done, each of them."""
        return [
            None if isinstance(one, Recall) else Done(one.step, one.visit, one.rung) for one, _ in commands
        ]


def _graph() -> Graph:
    names = [f"step_{n}" for n in range(STEPS)]
    steps = {
        name: Step(
            name, names[n + 1] if n + 1 < STEPS else "", f"steps[{n}]", WebhookSpec("https://example.com")
        )
        for n, name in enumerate(names)
    }
    return Graph("bench", names[0], steps, Entry())


def _drive(stores: SharedStores, runs: int) -> float:
    settle_memory()
    return uvloop.run(_drive_all(stores, runs))


async def _drive_all(stores: SharedStores, runs: int) -> float:
    databases = await prepare_databases(stores.postgres_url)
    pool = await open_global_pool(databases.global_url, size=LANES, name="bench")
    valkey = await connect(stores.valkey_url)
    clock, counts = StoreClock(), CountedMoves()
    instances = GlobalInstances(pool, REGION)
    continuations = ValkeyContinuations(valkey, REGION)
    journey_id = make_ids(1, clock.now_ms())
    ports = EnginePorts(
        FixedJourneys(JourneyRecord(journey_id, TENANT, "bench", "active", 1, 0, 0), _graph()),
        instances,
        FakeContexts(),
        continuations,
        NoFacts(),
        AtOnce(),
        clock,
        make_nonce,
        UnwatchedSteps(),
        counts,
    )
    try:
        await _enter(instances, continuations, journey_id, runs, clock.now_ms())
        began = time.perf_counter()
        await asyncio.gather(*(_lane(ports, counts, runs * (STEPS + 1)) for _ in range(LANES)))
        seconds = time.perf_counter() - began
        ended = await pool.fetchval(
            "SELECT count(*) FROM journey_instances WHERE journey_id = $1 AND status = 'completed'",
            uuid.UUID(bytes=journey_id),
        )
        if ended != runs or counts.lost:
            raise RuntimeError(f"{ended} of {runs} runs ended, {counts.lost} transitions were lost")
    finally:
        await close_global_pool(pool)
        await valkey.close()
    return runs * STEPS / seconds


async def _lane(ports: EnginePorts, counts: CountedMoves, wanted: int) -> None:
    while counts.committed < wanted:
        pause_s = await move_due(ports, LEASE_MS)
        if pause_s and counts.committed < wanted:
            await asyncio.sleep(0.001)


async def _enter(
    instances: GlobalInstances, continuations: ValkeyContinuations, journey_id: bytes, runs: int, now_ms: int
) -> None:
    idents = split_ids(make_ids(runs, now_ms))
    for i in range(0, runs, 1000):
        new = [
            Instance(
                instance_id=ident,
                tenant_id=TENANT,
                journey_id=journey_id,
                version=1,
                user_id=n,
                region=REGION,
                is_test=False,
                status="active",
                seq=0,
                step="",
                due_ms=now_ms,
                progress=Progress(),
                context_version=0,
                entered_ms=now_ms,
            )
            for n, ident in enumerate(idents[i : i + 1000], i)
        ]
        await instances.enter([NewRun(one, one.instance_id, one.instance_id) for one in new])
        await continuations.schedule([Planned(one.instance_id, now_ms, 0, one) for one in new])


# ------------------------------------------------------------------------------------------------------------- DBOS

THREADS: Final = 4
"""The most steps a second of what was tried: 1, 4, 8, 16 and 32 threads, 8 and 32 asyncio tasks, `start_workflow`."""


def _run_dbos(stores: SharedStores, workflows: int) -> float:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": asyncio.run(_make_database(stores.postgres_url)),
            "log_level": "ERROR",
            "executor_id": "bench",
        }
    )

    @DBOS.step()
    def nothing(number: int) -> int:
        return number

    @DBOS.workflow()
    def five(_: int) -> int:
        return sum(nothing(n) for n in range(STEPS))

    DBOS.launch()
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(five, range(THREADS)))
            began = time.perf_counter()
            list(threads.map(five, range(workflows)))
            seconds = time.perf_counter() - began
    finally:
        DBOS.destroy()
    return workflows * STEPS / seconds


async def _make_database(admin_url: str) -> str:
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute("DROP DATABASE IF EXISTS dbos_bench WITH (FORCE)")
        await connection.execute("CREATE DATABASE dbos_bench")
    finally:
        await connection.close()
    head, _, _ = admin_url.rpartition("/")
    return f"{head}/dbos_bench"
