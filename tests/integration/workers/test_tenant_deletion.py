"""A tenant is deleted, under load too: its work becomes no-ops, nothing of it is left, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.adapters.postgres.tenant_deletion import PostgresTenantDeletion
from clarion.bootstrap import Worker
from clarion.compliance.audit import verify_audit_chain
from clarion.entrypoints.workers.tenants import Remains, remains_of, step
from clarion.intelligence.features import empty_records
from clarion.kernel.errors import ClarionError
from clarion.kernel.ids import format_id
from clarion.keys import global_urls_of
from clarion.tenancy.deletion import SETTLED_MS, Deletion, sweep
from clarion.tenancy.model import TenantEntry
from clarion.testing.http import HttpAnswer
from clarion.testing.waiting import eventually
from tests.integration.api.support import Api, Caller
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


@pytest_asyncio.fixture(loop_scope="session")
async def directory(worker: Worker) -> AsyncGenerator[GlobalTenants]:
    pool = await open_global_pool(*global_urls_of(worker.settings), size=1, name="tests")
    yield GlobalTenants(pool)
    await close_global_pool(pool)


@pytest_asyncio.fixture(loop_scope="session")
async def remains(worker: Worker, directory: GlobalTenants) -> Remains:
    return remains_of(worker.region, directory)


def name_of(caller: Caller) -> str:
    return f"t-{format_id(caller.tenant_id)}"


async def delete(caller: Caller, confirm: str = "") -> HttpAnswer:
    return await caller.call(f"DELETE /tenant?confirm={confirm or name_of(caller)}")


async def sweep_all(bench: Bench, remains: Remains) -> None:
    """Remove everything, on the day after."""
    rows = PostgresTenantDeletion(bench.worker.region.pools)
    known = [one for one in await rows.under_way() if one.tenant_id == bench.caller.tenant_id]
    deletion = known[0] if known else Deletion(bench.caller.tenant_id, "", 0)
    while not await sweep(deletion, rows, remains, deletion.asked_ms + SETTLED_MS):
        pass


async def count_rows(bench: Bench) -> dict[str, int]:
    """Rows of the tenant by table, tables without any left out."""
    tables = await bench.query(
        "SELECT t::text AS name FROM tenant_tables() t JOIN pg_class c ON c.oid = t WHERE NOT c.relispartition "
        "UNION SELECT unnest(ARRAY['notifications', 'tenant_settings']) ORDER BY 1"
    )
    counts: dict[str, int] = {}
    for table in tables:
        statement = f"SELECT count(*) AS count FROM {table['name']} WHERE tenant_id = $1"  # noqa: S608  of the catalogue
        (row,) = await bench.query(statement, bench.caller.tenant_id)
        counts[table["name"]] = row["count"]
    return {name: count for name, count in counts.items() if count}


async def test_nothing_is_left_but_the_audit_log(bench: Bench, remains: Remains):
    await bench.send("ada", "bob", "eve")
    await bench.handle()
    consent = {"user_id": "ada", "channel": "sms", "category": "all", "consented": False, "source": "web"}
    assert (await bench.caller.call("POST /compliance/consent", consent)).status == 200
    assert (
        await bench.caller.call("POST /personalization/context", {"user_id": "ada", "context": {"a": 1}})
    ).status == 200
    user_ids = [
        row["user_id"]
        for row in await bench.query(
            "SELECT user_id FROM user_profiles WHERE tenant_id = $1", bench.caller.tenant_id
        )
    ]
    known = empty_records(user_ids)
    known["sequence"] = 1
    assert all(await bench.worker.region.features.write(known))
    assert len(await count_rows(bench)) > 8
    assert (await delete(bench.caller)).status == 202
    await sweep_all(bench, remains)
    assert await count_rows(bench) == {}
    region = bench.worker.region
    assert await region.contexts.read(user_ids) == [{}, {}, {}]
    assert not (await region.features.read(user_ids))["sequence"].any()
    async with region.pools.keys() as connection:
        assert not await connection.fetchval(
            "SELECT count(*) FROM subject_keys WHERE user_id = ANY($1)", user_ids
        )
    verdict = await verify_audit_chain(PostgresAuditLog(region.pools), bench.caller.tenant_id, 0)
    assert (verdict.rows, verdict.broken) == (2, None)
    (gone,) = await bench.query("SELECT * FROM tenant_deletions WHERE tenant_id = $1", bench.caller.tenant_id)
    assert (gone["name"], gone["removed"] > 0, gone["finished_at"] is not None) == ("", True, True)


async def test_credentials_are_dead_at_once(api: Api, bench: Bench):
    invited = await bench.caller.call("POST /members", {"email": "a@example.com", "role": "owner"})
    second = api.client(await api.key(bench.caller.tenant_id))
    assert (await second.request("GET /api/v1/me")).status == 200
    assert (await delete(bench.caller)).status == 202
    assert (await bench.caller.call("GET /me")).status == 401
    assert (await second.request("GET /api/v1/me")).status == 401
    token = {"token": invited.json()["invitation_token"]}
    assert (await api.client().request("POST /api/v1/invitations/accept", token)).status == 404


async def test_queued_work_becomes_a_no_op(bench: Bench, remains: Remains):
    await bench.send("ada", "bob")
    items = await bench.open_items()
    assert (await delete(bench.caller)).status == 202
    await bench.handle()  # its rows are still there
    assert "sent" not in await bench.statuses()
    await sweep_all(bench, remains)
    _, quarantine = bench.other_process()
    await quarantine.handle(items, bench.worker.dispatch)  # what the queue still holds
    assert await count_rows(bench) == {}


class Load:
    """Calls and work of tenants that go on until it is over."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()

    async def send(self, caller: Caller, answers: Counter[int]) -> None:
        """Send one notification after another."""
        body = {"user_id": "ada", "category": "transactional", "data": {"subject": "s", "body": "b"}}
        while not self.is_over.is_set():
            answers[(await caller.call("POST /notifications", body)).status] += 1

    async def handle(self, bench: Bench) -> None:
        """Handle what is open, again and again."""
        while not self.is_over.is_set():
            await bench.handle()
            await asyncio.sleep(0)


async def test_under_load_nobody_else_notices(bench: Bench, other: Caller, worker: Worker, remains: Remains):
    neighbour = Bench(other, worker)
    await bench.send("ada")
    await neighbour.send("ada")
    load, answers = Load(), {one: Counter[int]() for one in ("goes", "stays")}
    async with asyncio.TaskGroup() as group:
        group.create_task(load.send(bench.caller, answers["goes"]))
        group.create_task(load.send(other, answers["stays"]))
        group.create_task(load.handle(bench))
        group.create_task(load.handle(neighbour))
        await eventually(bench.statuses, lambda found: found["sent"] > 20)
        assert (await delete(bench.caller)).status == 202
        await sweep_all(bench, remains)
        before = (await neighbour.statuses())["sent"]
        await eventually(neighbour.statuses, lambda found: found["sent"] > before + 20)
        load.is_over.set()
    assert answers["goes"].keys() <= {201, 401, 404}
    assert answers["stays"].keys() == {201}
    await sweep_all(bench, remains)
    assert await count_rows(bench) == {}
    await neighbour.handle()
    assert (await neighbour.statuses()).keys() == {"sent"}


async def test_only_an_owner_who_names_it_deletes_a_tenant(api: Api, bench: Bench):
    caller = bench.caller
    assert (await caller.call("DELETE /tenant")).status == 400
    assert (await delete(caller, "another")).status == 400
    admin = (await caller.call("POST /keys", {"role": "admin"})).json()["key"]
    line = f"DELETE /api/v1/tenant?confirm={name_of(caller)}"
    assert (await api.client(admin).request(line)).status == 403
    test = await api.key(caller.tenant_id, environment="test")
    assert (await api.client(test).request(line)).status == 403
    assert (await caller.call("GET /tenant")).json()["name"] == name_of(caller)


async def test_the_name_is_free_and_the_step_goes_on_by_itself(
    bench: Bench, remains: Remains, directory: GlobalTenants, worker: Worker
):
    name = name_of(bench.caller)
    await directory.register(TenantEntry(bench.caller.tenant_id, name, "here"))
    await bench.send("ada")
    assert (await delete(bench.caller)).status == 202
    assert await step(worker.region, remains) < 1
    assert "user_profiles" not in await count_rows(bench)
    assert await directory.find(name)  # not before all is settled
    await sweep_all(bench, remains)
    assert await directory.find(name) is None


async def test_rows_of_a_tenant_that_stays_cannot_be_removed_so(bench: Bench):
    with pytest.raises((ClarionError, Exception), match="may be deleted"):
        await bench.query("SELECT delete_tenant_rows($1, 'user_profiles', 10)", bench.caller.tenant_id)
