"""Dead letters through the API: seen by their tenant only, opened anew at a pace, never twice."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from clarion.bootstrap import Worker
from clarion.delivery.model import Receipt
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench, packed

pytestmark = pytest.mark.asyncio(loop_scope="session")

RATE = 4.0


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    """A tenant with three dead letters."""
    made = Bench(caller, worker)
    await made.send("ada", "bob", "eve")
    for name in ("ada", "bob", "eve"):
        await made.poison(name)
    await made.kill_with_errors()
    return made


async def redrive(caller: Caller, **body: object) -> dict[str, Any]:
    answer = await caller.call("POST /dead-letters/redrive", body)
    assert answer.status == 200, answer.body
    return answer.json()


async def test_they_are_listed_page_by_page(bench: Bench):
    first = (await bench.caller.call("GET /dead-letters?limit=2")).json()
    rest = (await bench.caller.call(f"GET /dead-letters?limit=2&cursor={first['next_cursor']}")).json()

    users = [letter["user_id"] for page in (first, rest) for letter in page["dead_letters"]]
    assert sorted(users) == ["ada", "bob", "eve"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("reason=deliveries", 3),
        ("reason=crashed_workers", 0),
        ("channel=email&category=transactional", 3),
        ("channel=sms", 0),
        ("died_before=2020-01-01T00:00:00Z", 0),
        ("state=redriven", 0),
        ("state=all", 3),
    ],
)
async def test_they_are_found_by(bench: Bench, query: str, found: int):
    assert len(await bench.letters(f"?{query}")) == found


async def test_another_tenant_sees_and_moves_none_of_them(bench: Bench, other: Caller):
    letter = (await bench.letters())[0]
    ident = letter["delivery_id"]

    assert (await other.call("GET /dead-letters")).json()["dead_letters"] == []
    assert (await other.call(f"GET /dead-letters/{ident}")).status == 404
    assert (await other.call(f"DELETE /dead-letters/{ident}")).status == 404
    assert (await redrive(other, ids=[ident]))["left"] == [{"delivery_id": ident, "reason": "unknown"}]
    assert (await redrive(other, filter={}))["redriven"] == 0
    assert (await bench.caller.call(f"GET /dead-letters/{ident}")).json() == letter


async def test_a_redriven_delivery_keeps_its_promise_under_its_own_id(bench: Bench):
    """The same row, open again, and sent: nothing is promised anew, and nothing that was promised is missing."""
    before = await bench.query(
        "SELECT sum(deliveries) AS promised FROM accept_batches WHERE tenant_id = $1", bench.caller.tenant_id
    )
    (letter,) = [one for one in await bench.letters() if one["user_id"] == "ada"]
    await bench.heal("ada")

    told = await redrive(bench.caller, ids=[letter["delivery_id"]], rate_per_s=1000)
    (item,) = await bench.open_items()
    assert await bench.statuses() == {"failed": 2, "retrying": 1}
    await bench.query("UPDATE open_deliveries SET due_at = now() WHERE global_id = $1", item.delivery_id)
    await bench.handle()

    assert told["redriven"] == 1
    assert item.delivery_id == packed(letter["delivery_id"])
    assert await bench.statuses() == {"failed": 2, "sent": 1}
    after = await bench.query(
        "SELECT sum(deliveries) AS promised FROM accept_batches WHERE tenant_id = $1", bench.caller.tenant_id
    )
    assert after == before
    (redriven,) = await bench.letters("?state=redriven")
    assert (redriven["delivery_id"], redriven["redrives"]) == (letter["delivery_id"], 1)


async def test_redriving_twice_opens_nothing_twice(bench: Bench):
    ids = [letter["delivery_id"] for letter in await bench.letters()]

    told = await asyncio.gather(*(redrive(bench.caller, ids=ids) for _ in range(4)))

    assert sorted(one["redriven"] for one in told) == [0, 0, 0, 3]
    assert len(await bench.open_items()) == 3


async def test_the_pace_holds_over_several_redrives(bench: Bench):
    first = await redrive(bench.caller, filter={}, rate_per_s=RATE, limit=2)
    second = await redrive(bench.caller, filter={}, rate_per_s=RATE, limit=2)

    assert (first["redriven"], first["remaining"]) == (2, 1)
    assert (second["redriven"], second["remaining"]) == (1, 0)
    due = sorted(item.due_ms for item in await bench.open_items())
    assert [later - earlier for earlier, later in itertools.pairwise(due)] == [250, 250]


async def test_what_arrived_after_all_or_has_expired_is_left(bench: Bench):
    ids = {letter["user_id"]: letter["delivery_id"] for letter in await bench.letters()}
    region = bench.worker.region
    now_ms = region.clock.now_ms()
    await region.receipts.put("sandbox-email", [Receipt("r-1", packed(ids["ada"]), "delivered", now_ms)])
    while (await region.receipts.project(100, now_ms)).batches:
        pass
    await bench.query("UPDATE notifications SET expires_at = now() WHERE global_id = $1", packed(ids["bob"]))

    told = await redrive(bench.caller, ids=[ids["ada"], ids["bob"], ids["eve"]])
    everything = await redrive(bench.caller, filter={})

    assert told["redriven"] == 1
    assert told["left"] == [
        {"delivery_id": ids["ada"], "reason": "it is delivered"},
        {"delivery_id": ids["bob"], "reason": "expired"},
    ]
    assert (everything["redriven"], everything["remaining"]) == (0, 0)


async def test_a_broadcast_counts_what_was_redriven_again(bench: Bench):
    """Its chunk was settled: what it counted as failed is under way once more."""
    (letter,) = [one for one in await bench.letters() if one["user_id"] == "ada"]
    broadcast_id = bench.caller.tenant_id
    await bench.query(
        "INSERT INTO broadcast_chunks (tenant_id, broadcast_id, chunk, due_at, size, names, state, accepted_at, "
        "first_id, last_id, tally) SELECT tenant_id, $2, 0, now(), 1, '{}', 'settled', created_at, global_id, "
        "global_id, '{\"failed\": 1}' FROM notifications WHERE global_id = $1",
        packed(letter["delivery_id"]),
        broadcast_id,
    )

    await redrive(bench.caller, ids=[letter["delivery_id"]])

    (chunk,) = await bench.query(
        "SELECT state, look_at FROM broadcast_chunks WHERE broadcast_id = $1", broadcast_id
    )
    assert chunk["state"] == "accepted"
    assert chunk["look_at"] is not None


async def test_one_that_dies_again_is_dead_again(bench: Bench):
    (letter,) = [one for one in await bench.letters() if one["user_id"] == "ada"]
    await redrive(bench.caller, ids=[letter["delivery_id"]])
    await bench.query(
        "UPDATE open_deliveries SET due_at = now() WHERE tenant_id = $1", bench.caller.tenant_id
    )

    await bench.kill_with_errors()

    (again,) = [one for one in await bench.letters() if one["user_id"] == "ada"]
    assert (again["redrives"], again["redriven_at"]) == (1, None)
    assert again["died_at"] > letter["died_at"]


async def test_a_late_worker_cannot_touch_what_was_redriven(bench: Bench):
    """The epoch goes on where the dead delivery's ended."""
    ids = [letter["delivery_id"] for letter in await bench.letters()]
    old = await bench.query(
        "SELECT lease_epoch FROM dead_letters WHERE tenant_id = $1", bench.caller.tenant_id
    )

    await redrive(bench.caller, ids=ids)

    new = await bench.query(
        "SELECT lease_epoch FROM open_deliveries WHERE tenant_id = $1", bench.caller.tenant_id
    )
    assert min(row["lease_epoch"] for row in new) > max(row["lease_epoch"] for row in old)


async def test_a_dropped_letter_is_forgotten_and_its_notification_is_not(bench: Bench):
    letter, *_ = await bench.letters()

    assert (await bench.caller.call(f"DELETE /dead-letters/{letter['delivery_id']}")).status == 204

    assert (await bench.caller.call(f"DELETE /dead-letters/{letter['delivery_id']}")).status == 404
    assert len(await bench.letters()) == 2
    notification = await bench.caller.call(f"GET /notifications/{letter['notification_id']}")
    assert notification.json()["status"] == "failed"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "ids"),
        ({"ids": ["x"]}, "ids[0]"),
        ({"filter": {}, "rate_per_s": 0}, "rate_per_s"),
        ({"filter": {"reason": "boredom"}}, "filter.reason"),
        ({"ids": ["00000000-0000-0000-0000-000000000000"], "filter": {}}, "ids"),
    ],
)
async def test_a_wrong_redrive_is_refused(caller: Caller, body: dict[str, object], path: str):
    answer = await caller.call("POST /dead-letters/redrive", body)

    assert answer.status == 400
    assert [error["path"] for error in answer.json()["errors"]] == [path]


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%C3%BC", "f" * 32, "_" * 32])
async def test_a_cursor_of_nobodys_is_refused(caller: Caller, cursor: str):
    assert (await caller.call(f"GET /dead-letters?cursor={cursor}")).status == 400


@pytest.mark.parametrize("died_before", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_any_time_can_be_asked_for(caller: Caller, died_before: str):
    assert (await caller.call(f"GET /dead-letters?died_before={died_before}")).status == 200
    assert (await redrive(caller, filter={"died_before": died_before}, rate_per_s=0.001))["redriven"] == 0


async def test_the_future_is_no_reason_to_wait(bench: Bench):
    """A letter that died before `died_before` is meant, whatever that time is."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    told = await redrive(bench.caller, filter={"died_before": tomorrow})

    assert told["redriven"] == 3
