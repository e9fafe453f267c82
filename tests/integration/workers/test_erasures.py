"""Erasure through API and worker: how it goes through all stores, what it waits for, and what it leaves."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec
import pytest

from clarion.bootstrap import Worker
from clarion.entrypoints.workers.erasures import step
from clarion.testing.waiting import eventually
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench, packed

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


async def erase(caller: Caller, user_id: str = "ada") -> str:
    """Ask for an erasure; its id."""
    answer = await caller.call("POST /compliance/erasures", {"user_id": user_id})
    assert answer.status == 202, answer.body
    return answer.json()["erasure_id"]


async def show(caller: Caller, erasure_id: str) -> dict[str, Any]:
    answer = await caller.call(f"GET /compliance/erasures/{erasure_id}")
    assert answer.status == 200, answer.body
    return answer.json()


async def complete(bench: Bench, erasure_id: str) -> dict[str, Any]:
    """The erasure, once it is complete."""

    async def go_on() -> dict[str, Any]:
        await step(bench.worker)
        return await show(bench.caller, erasure_id)

    return await eventually(go_on, lambda shown: shown["status"] == "completed", every_s=0.1)


async def test_an_erased_user_is_gone_with_what_was_said_to_her(bench: Bench):
    secret = f"secret-{secrets.token_hex(8)}"
    await bench.caller.user("ada", attributes={"word": secret})
    sent = await bench.caller.notify(data={"subject": secret, "body": secret}, metadata={"note": secret})
    await bench.handle()

    shown = await complete(bench, await erase(bench.caller))

    assert (await bench.caller.call("GET /users/ada")).status == 404
    rows = await bench.query(
        "SELECT n::text AS row FROM notifications n WHERE notification_id = $1",
        packed(sent["notification_id"]),
    )
    assert rows
    assert not any(secret in row["row"] for row in rows)
    removed = {store["target"]: store["removed"] for store in shown["stores"]}
    assert removed["postgres.keys"] == {"keys": 1}
    assert removed["postgres.profile"]["profiles"] == 1
    assert removed["postgres.notifications"]["notifications"] == len(rows)
    assert shown["certificate"]["erasure_id"] == shown["erasure_id"]
    assert b'"ada"' not in msgspec.json.encode(shown)


async def test_asked_twice_it_is_one_erasure_before_and_after(bench: Bench):
    await bench.caller.user("ada")
    first, second = await asyncio.gather(erase(bench.caller), erase(bench.caller))
    assert first == second
    await complete(bench, first)
    assert await erase(bench.caller) == first
