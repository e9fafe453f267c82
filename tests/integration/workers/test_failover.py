"""Failover over the real stores: who is asked next, and what is remembered of who was asked."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from clarion.bootstrap import Worker
from clarion.delivery.retry import BACKOFFS
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOWN = {"error_rate": 1}


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


async def account(bench: Bench, name: str, settings: dict[str, Any], weight: int = 1) -> None:
    body = {"kind": "sandbox", "channel": "email", "settings": settings, "weight": weight}
    answer = await bench.caller.call(f"PUT /providers/{name}", body)
    assert answer.status in {200, 201}, answer.body


async def attempts(bench: Bench, ident: str) -> list[dict[str, Any]]:
    trace = (await bench.caller.call(f"GET /notifications/{ident}/trace")).json()
    return list(trace["deliveries"][0]["attempts"])


async def make_due(bench: Bench) -> None:
    await bench.query(
        "UPDATE open_deliveries SET due_at = now() WHERE tenant_id = $1", bench.caller.tenant_id
    )


async def test_a_message_goes_from_the_one_that_is_down_to_the_other_at_once(bench: Bench):
    await account(bench, "sandbox-email", DOWN)
    await account(bench, "backup", {}, weight=0)
    sent = await bench.send("ada")
    await bench.handle()
    (row,) = await bench.query(
        "SELECT tried, due_at <= now() AS is_due FROM open_deliveries WHERE tenant_id = $1",
        bench.caller.tenant_id,
    )
    assert (row["tried"], row["is_due"]) == (["sandbox-email"], True)

    await bench.handle()
    first, second = await attempts(bench, sent["ada"])
    assert (first["provider"], first["outcome"], first["rule"]) == ("sandbox-email", "transient", "failover")
    assert (second["provider"], second["outcome"]) == ("backup", "sent")


async def test_when_all_were_tried_the_schedule_goes_on_with_all(bench: Bench):
    await account(bench, "sandbox-email", DOWN)
    await account(bench, "backup", DOWN, weight=0)
    sent = await bench.send("ada")
    for _ in range(4):
        await bench.handle()
        await make_due(bench)
    tried = await attempts(bench, sent["ada"])
    assert {one["provider"] for one in tried[:2]} == {"sandbox-email", "backup"}
    assert [one["rule"] for one in tried] == ["failover", "", "", ""]
    (row,) = await bench.query(
        "SELECT tried FROM open_deliveries WHERE tenant_id = $1", bench.caller.tenant_id
    )
    assert sorted(row["tried"]) == ["backup", "sandbox-email"]


async def test_what_one_refuses_for_good_no_other_is_asked_for(bench: Bench):
    await account(bench, "sandbox-email", {"permanent_rate": 1})
    await account(bench, "backup", {}, weight=0)
    await bench.send("ada")
    await bench.handle()
    assert await bench.statuses() == {"failed": 1}


async def test_what_may_have_arrived_is_left_where_its_category_says_so(bench: Bench):
    await account(bench, "sandbox-email", {"ambiguous_rate": 1})
    await account(bench, "backup", {}, weight=0)
    category = {"class": "transactional", "on_ambiguity": "park"}
    await bench.caller.call("PUT /categories/letters", category)
    await bench.send("ada", category="letters")
    await bench.handle()
    assert await bench.statuses() == {"unknown": 1}


async def test_refused_credentials_burn_no_message_and_send_it_when_they_are_mended(bench: Bench):
    await account(bench, "sandbox-email", {"refuses": True})
    sent = await bench.send("ada")
    await bench.query(
        "UPDATE open_deliveries SET attempts = $2, excused = $2 WHERE tenant_id = $1",
        bench.caller.tenant_id,
        BACKOFFS["transient"].max_attempts * 3,
    )
    await bench.handle()
    (attempt,) = await attempts(bench, sent["ada"])
    assert (attempt["outcome"], attempt["code"]) == ("transient", "auth")
    assert await bench.statuses() == {"retrying": 1}

    await account(bench, "sandbox-email", {})
    await make_due(bench)
    await bench.handle()
    assert await bench.statuses() == {"sent": 1}
