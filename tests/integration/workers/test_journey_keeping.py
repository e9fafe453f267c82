"""Housekeeping of journeys: what killed workers leave goes, and a deleted tenant leaves nothing of its journeys."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence

import asyncpg
import pytest
import pytest_asyncio

from clarion.adapters.globaldb.journey_outbox import GlobalJourneyOutbox
from clarion.adapters.globaldb.journey_privacy import RunRetention, RunTarget
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.telemetry.metrics import Metrics
from clarion.bootstrap import Worker
from clarion.compliance.ports import DataSubject
from clarion.contracts.topics import JOURNEY_EVENTS
from clarion.entrypoints.journeying import JourneyParts, build_journeys
from clarion.entrypoints.workers.journey_keeping import (
    CountedEffects,
    drop_left_contexts,
    keep_house,
    publish,
)
from clarion.entrypoints.workers.tenants import remains_of
from clarion.journeys.graph import NotificationSpec, ThrottleSpec
from clarion.journeys.model import Ask, Command, Context, Done, Instance, Progress, Recall, Send
from clarion.journeys.ports import ContextKey, NewRun
from clarion.kernel.ids import make_ids, parse_id
from clarion.keys import global_urls_of
from clarion.testing.waiting import eventually
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOURNEY = {
    "name": "pause",
    "trigger": {"type": "api"},
    "steps": [{"id": "pause", "type": "wait", "event": "nothing", "timeout": "1h"}],
}
TABLES = ("journeys", "journey_versions", "journey_instances", "journey_counts", "journey_migrations")


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool(worker: Worker) -> AsyncGenerator[asyncpg.Pool]:
    opened = await open_global_pool(*global_urls_of(worker.settings), size=2, name="tests")
    yield opened
    await close_global_pool(opened)


@pytest.fixture
def parts(worker: Worker, pool: asyncpg.Pool) -> JourneyParts:
    return build_journeys(worker.region, pool)


async def begin(bench: Bench, parts: JourneyParts, name: str, journey_id: bytes) -> Instance:
    """A run of this user that has just begun, with a private context."""
    await bench.caller.user(name)
    region, now_ms = bench.worker.region, bench.worker.clock.now_ms()
    user_id = (await region.users.find_ids(bench.caller.tenant_id, [name]))[name]
    ident = make_ids(1, now_ms)
    run = Instance(
        instance_id=ident,
        tenant_id=bench.caller.tenant_id,
        journey_id=journey_id,
        version=1,
        user_id=user_id,
        region=region.settings.region,
        is_test=False,
        status="active",
        seq=0,
        step="pause",
        due_ms=now_ms + 3_600_000,
        progress=Progress(),
        context_version=1,
        entered_ms=now_ms,
    )
    (entered,) = await parts.instances.enter([NewRun(run, ident, ident)])
    assert entered.result == "created"
    await parts.contexts.write([(key_of(run), Context(data={"page": name}))])
    return run


def key_of(run: Instance) -> ContextKey:
    return ContextKey(run.instance_id, 1, run.tenant_id, run.user_id)


async def stop(worker: Worker, pool: asyncpg.Pool, parts: JourneyParts, run: Instance) -> None:
    """End a run as an erasure does, and leave its context."""
    target = RunTarget(pool, parts.instances, parts.continuations, worker.clock)
    removed = await target.erase(DataSubject(run.tenant_id, run.user_id, ""))
    assert removed["runs"] == 1


async def test_contexts_that_a_killed_worker_left_are_dropped_after_a_day(
    bench: Bench, parts: JourneyParts, pool: asyncpg.Pool
):
    journey_id = make_ids(1, bench.worker.clock.now_ms())
    ended, waiting, fresh = [await begin(bench, parts, name, journey_id) for name in ("ada", "bob", "eve")]
    for run in (ended, fresh):
        await stop(bench.worker, pool, parts, run)
    await bench.query(
        "UPDATE journey_contexts SET written_at = now() - interval '25 hours' WHERE instance_id = ANY($1::uuid[])",
        [ended.instance_id, waiting.instance_id],
    )
    assert await drop_left_contexts(parts) >= 1
    found = await parts.contexts.read([key_of(run) for run in (ended, waiting, fresh)])
    assert [context is not None for context in found] == [False, True, True]
    retention = RunRetention(pool, bench.worker.settings.region)
    assert await keep_house(bench.worker, parts, retention) > 0


async def test_a_deleted_tenant_leaves_nothing_of_its_journeys(
    bench: Bench, parts: JourneyParts, pool: asyncpg.Pool, other: Caller
):
    made = await bench.caller.call("POST /journeys", JOURNEY)
    assert made.status == 201, made.body
    assert (await other.call("POST /journeys", JOURNEY)).status == 201
    journey_id = parse_id(made.json()["journey_id"])
    assert journey_id is not None
    run = await begin(bench, parts, "ada", journey_id)
    await stop(bench.worker, pool, parts, run)

    async def count(tenant_id: bytes) -> dict[str, int]:
        tenant = uuid.UUID(bytes=tenant_id)
        return {
            table: await pool.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant)  # noqa: S608  names above
            for table in TABLES
        }

    before = await count(bench.caller.tenant_id)
    assert (before["journeys"], before["journey_versions"], before["journey_instances"]) == (1, 1, 1)
    assert before["journey_counts"] >= 1
    await remains_of(bench.worker.region, GlobalTenants(pool)).release(bench.caller.tenant_id)
    assert set((await count(bench.caller.tenant_id)).values()) == {0}
    assert (await count(other.tenant_id))["journeys"] == 1


async def test_events_of_runs_reach_the_log_by_their_users_partition(
    bench: Bench, parts: JourneyParts, pool: asyncpg.Pool
):
    run = await begin(bench, parts, "ada", make_ids(1, bench.worker.clock.now_ms()))
    await stop(bench.worker, pool, parts, run)
    outbox = GlobalJourneyOutbox(pool, bench.worker.settings.region)

    async def left() -> int:
        await publish(bench.worker, outbox)
        return await outbox.backlog()

    assert await eventually(left, lambda waiting: waiting == 0) == 0
    ask = bench.worker.region.valkey.read.execute_command
    streams = [
        key for key in await ask("KEYS", f"*{JOURNEY_EVENTS.name}*") if await ask("TYPE", key) == b"stream"
    ]
    entries = [repr(await ask("XRANGE", key, "-", "+")) for key in streams]
    assert any(repr(run.instance_id)[2:-1] in text for text in entries)


class Answers:
    """Effects of which one works, one is to be tried again, and one says nothing."""

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """These answers, whatever is asked."""
        assert len(commands) == 3
        return [Done("a", 1, -1, "queued"), Done("b", 1, -1, error="busy"), None]


async def test_what_came_of_effects_is_counted_by_kind(bench: Bench, parts: JourneyParts):
    run = await begin(bench, parts, "ada", make_ids(1, bench.worker.clock.now_ms()))
    metrics = Metrics()
    send = Send(run, "a", 1, -1, 0, bytes(16), NotificationSpec("greeting"), ("email",), "greeting")
    ask = Ask(run, "b", 1, -1, 0, bytes(16), 1_000, ThrottleSpec(1, 1_000))
    commands = [(send, None), (ask, None), (Recall(run, (bytes(16),)), None)]
    await CountedEffects(Answers(), metrics.journeys).carry_out(commands)
    told = metrics.render().decode()
    for kind, result in (("notification", "done"), ("throttle", "retry"), ("recall", "later")):
        assert f'clarion_journey_effects_total{{kind="{kind}",result="{result}"}} 1.0' in told
