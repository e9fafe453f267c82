"""The API's process: how it begins, and how it ends with requests under way."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import PIPE

import pytest

from clarion.testing.http import HttpAnswer, request_head
from clarion.testing.stores import SharedStores
from clarion.testing.waiting import eventually
from tests.e2e.api.support import COMMAND, ApiProcess, environment
from tests.integration.api.support import Api, Caller, notification

LOCKED = "SELECT 1 FROM tenant_settings WHERE tenant_id = $1 FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
REQUESTS = 5


async def refuses(process: ApiProcess) -> bool:
    """Whether nobody listens any more."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", process.port)
    except OSError:
        return True
    writer.close()
    return False


async def test_what_is_under_way_is_answered_and_the_process_ends_well(api: Api, process: ApiProcess):
    caller = await api.tenant()
    client = process.client(caller.key)
    pools = api.gateway.region.pools

    async def put(number: int) -> HttpAnswer:
        return await client.request(f"PUT /api/v1/categories/c{number}", {"class": "service"})

    async with pools.pipeline() as connection, connection.transaction():
        await connection.execute(LOCKED, caller.tenant_id)
        under_way = [asyncio.create_task(put(number)) for number in range(REQUESTS)]

        async def all_wait() -> bool:
            return await connection.fetchval(WAITING) >= REQUESTS

        await eventually(all_wait)
        process.process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(process))
        assert not any(task.done() for task in under_way)
    answers = await asyncio.gather(*under_way)
    assert [answer.status for answer in answers] == [200] * REQUESTS
    assert await process.wait() == 0
    assert "api_stopped" in process.log[-2]


async def test_idle_connections_do_not_hold_it(api: Api, process: ApiProcess):
    caller = await api.tenant()
    async with process.client(caller.key).connect() as connection:
        await connection.send(request_head("GET /healthz", {}, None))
        assert (await connection.receive()).status == 200
        process.process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_many_requests_at_once_are_all_answered_through_the_end(api: Api, process: ApiProcess):
    """Each accepted one is there; each other one was refused, or its connection ended: never half."""
    caller = await api.tenant()
    await caller.user()
    client = process.client(caller.key)
    told: list[str] = []

    async def send_until_refused() -> None:
        while True:
            try:
                answer = await client.request("POST /api/v1/notifications", notification())
            except (OSError, asyncio.IncompleteReadError):
                return
            assert answer.status == 201
            told.append(answer.json()["notification_id"])

    senders = [asyncio.create_task(send_until_refused()) for _ in range(8)]

    async def some_are_told() -> bool:
        return len(told) >= 40

    await eventually(some_are_told, every_s=0.01)
    process.process.send_signal(signal.SIGTERM)
    await asyncio.gather(*senders)
    assert await process.wait() == 0
    kept = await ids_of(caller)
    assert len(set(told)) == len(told)
    assert set(told) <= kept


async def ids_of(caller: Caller) -> set[str]:
    """Every notification of a tenant, read page by page."""
    ids: set[str] = set()
    cursor = ""
    while cursor is not None:
        page = (await caller.call(f"GET /notifications?limit=100{cursor and '&cursor=' + cursor}")).json()
        ids |= {listed["notification_id"] for listed in page["notifications"]}
        cursor = page["next_cursor"]
    return ids


async def test_logs_name_nobody(api: Api, process: ApiProcess):
    caller = await api.tenant()
    client = process.client(caller.key)
    profile = {"email": "canary-7f3a@example.com", "attributes": {"first_name": "canary-7f3a"}}
    assert (await client.request("PUT /api/v1/users/ada", profile)).status == 201
    for line in ("POST /api/v1/notifications", "PUT /api/v1/users/ada", "POST /api/v1/users/batch"):
        await client.request(line, {"user_id": "canary-7f3a", "email": "canary-7f3a"})
    process.process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert "canary-7f3a" not in "".join(process.log)
    assert caller.key not in "".join(process.log)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"CLARION_PORT": "many"}, "CLARION_PORT"),
        ({"CLARION_MASTER_KEY": "ab" * 32}, "CLARION_MASTER_KEY"),
        ({"CLARION_REDIS_URL": "redis://127.0.0.1:1/0"}, "Valkey"),
    ],
    ids=["port", "key", "valkey"],
)
async def test_a_wrong_setting_ends_it_with_one_line(
    stores: SharedStores, api: Api, changes: dict[str, str], word: str
):
    del api
    command = COMMAND if "CLARION_PORT" not in changes else COMMAND[:-2]
    started = await asyncio.create_subprocess_exec(*command, env=environment(stores, changes), stderr=PIPE)
    _, told = await started.communicate()
    assert started.returncode == 1, told
    assert len(told.decode().splitlines()) == 1, told
    assert word in told.decode()
