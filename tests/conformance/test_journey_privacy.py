"""What the global store holds of users' runs can be erased, exported and dropped when it is old."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace

from clarion.adapters.globaldb.instances import GlobalInstances
from clarion.adapters.globaldb.journey_outbox import GlobalJourneyOutbox
from clarion.adapters.globaldb.journey_privacy import RunRetention, RunSource, RunTarget
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.compliance.ports import DataSubject
from clarion.contracts.journey_events import decode_journey_events
from clarion.journeys.model import Instance, Moved, Progress, Seen, Trail
from clarion.journeys.ports import NewRun
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Transient
from clarion.kernel.ids import make_ids
from clarion.testing.database import prepare_databases
from clarion.testing.erasure import ErasureTargetConformance
from clarion.testing.exporting import ExportSourceConformance
from clarion.testing.journeys import FakeContinuations
from clarion.testing.stores import shared_stores

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_AGO_MS = 1_600_000_000_000
DAY_MS = 86_400_000


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[asyncpg.Pool]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        databases = await prepare_databases(stores.postgres_url)
        opened = await open_global_pool(databases.global_url, size=3, name="tests")
        yield opened
        await close_global_pool(opened)


class Runs:
    """A region of the test's own, with one tenant."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.region = f"r-{secrets.token_hex(4)}"
        self.pool = pool
        self.store = GlobalInstances(pool, self.region)
        self.planner = FakeContinuations(StoreClock().now_ms)
        self.target = RunTarget(pool, self.store, self.planner, StoreClock())
        self.source = RunSource(pool)
        self._tenant_id = secrets.token_bytes(16)

    def user(self) -> DataSubject:
        return DataSubject(self._tenant_id, 1 << 48 | secrets.randbits(47), secrets.token_hex(4))

    async def enter(self, subject: DataSubject, *words: str, **fields: Any) -> Instance:
        """A run that has seen events of these names, and says so."""
        entered_ms = fields.pop("entered_ms", StoreClock().now_ms())
        progress = Progress(
            seen={word: Seen(1, 1, 1) for word in words},
            trail=[Trail("hello", 1, "event", entered_ms, word) for word in words],
        )
        run = Instance(
            instance_id=make_ids(1, entered_ms),
            tenant_id=subject.tenant_id,
            journey_id=fields.pop("journey_id", secrets.token_bytes(16)),
            version=1,
            user_id=subject.user_id,
            region=self.region,
            is_test=False,
            status="active",
            seq=0,
            step="hello",
            due_ms=entered_ms,
            progress=progress,
            context_version=0,
            entered_ms=entered_ms,
        )
        (entered,) = await self.store.enter([NewRun(run, secrets.token_bytes(16), secrets.token_bytes(16))])
        assert entered.result == "created"
        if fields:
            run = replace(run, seq=1, **fields)
            assert await self.store.commit([Moved(run, changed=True)]) == [True]
        return run

    async def loaded(self, run: Instance) -> Instance | None:
        (found,) = await self.store.load([run.instance_id])
        return found


@pytest.fixture
def runs(pool: asyncpg.Pool) -> Runs:
    return Runs(pool)


class ErasedRuns:
    """`ErasureWorld` of runs: what is held is what they say of somebody."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.target = runs.target

    def subject(self) -> DataSubject:
        return self._runs.user()

    async def put(self, subject: DataSubject) -> None:
        await self._runs.enter(subject, "bought")
        await self._runs.enter(subject, "left", status="exited", ended_ms=1)

    async def held(self, subject: DataSubject) -> int:
        query = (
            "SELECT count(*) FROM journey_instances WHERE tenant_id = $1 AND user_id = $2 "
            "AND (status = 'active' OR step <> '' OR length(progress) > 40)"
        )
        tenant = uuid.UUID(bytes=subject.tenant_id)
        return int(await self._runs.pool.fetchval(query, tenant, subject.user_id))


class TestErasingRuns(ErasureTargetConformance):
    """The suite of stores that can be erased."""

    @pytest.fixture
    def world(self, runs: Runs) -> ErasedRuns:
        """A tenant of its own."""
        return ErasedRuns(runs)


class ExportedRuns:
    """`ExportWorld` of runs: the words are names of events."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.source = runs.source

    async def subject(self) -> DataSubject:
        return self._runs.user()

    async def put(self, subject: DataSubject, words: list[str]) -> None:
        await self._runs.enter(subject, *words)


class TestExportingRuns(ExportSourceConformance):
    """The suite of stores that can be exported."""

    @pytest.fixture
    def world(self, runs: Runs) -> ExportedRuns:
        """A tenant of its own."""
        return ExportedRuns(runs)


async def test_who_moves_an_erased_run_comes_too_late(runs: Runs):
    subject = runs.user()
    run = await runs.enter(subject, "bought")
    assert await runs.target.erase(subject) == {"runs": 1, "histories": 1}
    moved = replace(run, seq=1, step="next")
    assert await runs.store.commit([Moved(moved, changed=True)]) == [False]
    found = await runs.loaded(run)
    assert found is not None
    assert (found.status, found.reason, found.step, found.progress) == ("stopped", "erased", "", Progress())


async def test_the_end_of_an_erased_run_is_told_and_counted(runs: Runs):
    subject = runs.user()
    run = await runs.enter(subject)
    await runs.target.erase(subject)
    outbox = GlobalJourneyOutbox(runs.pool, runs.region)
    assert await outbox.backlog() == 1
    async with outbox.take(10) as batches:
        (told,) = decode_journey_events(batches[0].payload)
    assert (told.type, told.detail, told.instance_id) == ("stopped", "erased", run.instance_id)
    assert await outbox.backlog() == 0


async def test_what_the_log_did_not_take_stays_in_the_outbox(runs: Runs):
    subject = runs.user()
    await runs.enter(subject)
    await runs.target.erase(subject)
    outbox = GlobalJourneyOutbox(runs.pool, runs.region)

    async def fail() -> None:
        async with outbox.take(10) as batches:
            raise Transient(f"the log is away, with {len(batches)} batches")

    with pytest.raises(Transient):
        await fail()
    assert await outbox.backlog() == 1


async def test_two_publishers_do_not_take_the_same(runs: Runs):
    subject = runs.user()
    await runs.enter(subject)
    await runs.target.erase(subject)
    outbox = GlobalJourneyOutbox(runs.pool, runs.region)
    async with outbox.take(10) as first, outbox.take(10) as second:
        assert (len(first), len(second)) == (1, 0)


async def test_old_runs_go_and_the_last_of_each_journey_stays_bare(runs: Runs):
    subject, journey_id = runs.user(), secrets.token_bytes(16)
    ended: dict[str, Any] = {"status": "completed", "ended_ms": LONG_AGO_MS + 1, "journey_id": journey_id}
    first = await runs.enter(subject, "one", entered_ms=LONG_AGO_MS, **ended)
    last = await runs.enter(subject, "two", entered_ms=LONG_AGO_MS + 1, **ended)
    young = await runs.enter(subject, "three", status="completed", ended_ms=StoreClock().now_ms())
    waiting = await runs.enter(subject, "four", entered_ms=LONG_AGO_MS)

    retention = RunRetention(runs.pool, runs.region)
    while await retention.drop_old(LONG_AGO_MS + DAY_MS):
        pass

    assert await runs.loaded(first) is None
    bare = await runs.loaded(last)
    assert bare is not None
    assert (bare.status, bare.step, bare.progress) == ("completed", "", Progress())
    for kept in (young, waiting):
        assert await runs.loaded(kept) == kept
    assert await retention.count_active() == 1
