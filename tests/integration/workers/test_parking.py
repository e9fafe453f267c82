"""Messages between our own parts that cannot be worked on stand aside, and nothing waits behind them."""

from __future__ import annotations

import os

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.postgres.parking import ParkedMessage
from clarion.bootstrap import Worker
from clarion.delivery.model import Receipt
from clarion.entrypoints.workers.events import publish
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench, packed

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEYOND_TIME = 2**62


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


async def parked(bench: Bench, origin: str) -> list[ParkedMessage]:
    return [one for one in await bench.worker.parking.list(0, 10_000) if one.origin == origin]


async def project_all(bench: Bench) -> None:
    region = bench.worker.region
    while (await region.receipts.project(100, region.clock.now_ms())).batches:
        pass


async def test_receipts_beside_unreadable_ones_are_folded(bench: Bench):
    provider = f"provider-{os.urandom(4).hex()}"
    sent = await bench.send("ada")
    await bench.handle()
    region = bench.worker.region
    await bench.query(
        "INSERT INTO receipt_inbox (provider, receipts, payload) VALUES ($1, 1, 'rubbish')", provider
    )
    (row,) = await bench.query(
        "SELECT global_id FROM notifications WHERE tenant_id = $1", bench.caller.tenant_id
    )
    good = Receipt("r-1", row["global_id"], "delivered", region.clock.now_ms())
    bad = Receipt("r-2", row["global_id"], "engaged", BEYOND_TIME)
    await region.receipts.put(provider, [bad, good])

    await project_all(bench)

    view = await bench.caller.call(f"GET /notifications/{sent['ada']}")
    assert view.json()["status"] == "delivered"
    # Several projectors share the inbox: which batch is met first is chance.
    rubbish, late = sorted(await parked(bench, provider), key=lambda one: one.size)
    assert (rubbish.source, rubbish.size) == ("receipts", len("rubbish"))
    assert rubbish.reason.startswith("ValidationError at receipts.py")
    message = await bench.worker.parking.read(late.parked_id)
    assert message is not None
    assert msgspec.msgpack.decode(message.payload, type=list[Receipt]) == [bad]
    assert packed(sent["ada"])[:15] == row["global_id"][:15]


async def test_events_beside_unreadable_ones_are_published(bench: Bench):
    topic = f"topic-{os.urandom(4).hex()}"
    await bench.query("INSERT INTO outbox (topic, events, payload) VALUES ($1, 1, 'rubbish')", topic)
    await bench.send("ada")  # behind it
    (behind,) = await bench.query("SELECT max(outbox_id) AS last FROM outbox")

    while await bench.query("SELECT FROM outbox WHERE outbox_id <= $1", behind["last"] or 0):
        await publish(bench.worker)

    (message,) = await parked(bench, topic)
    assert message.source == "outbox"


async def test_what_is_parked_can_go_back_to_where_it_came_from(bench: Bench):
    provider = f"provider-{os.urandom(4).hex()}"
    await bench.query(
        "INSERT INTO receipt_inbox (provider, receipts, payload) VALUES ($1, 1, 'rubbish')", provider
    )
    await project_all(bench)
    (message,) = await parked(bench, provider)

    assert await bench.worker.parking.put_back([message.parked_id]) == [message.parked_id]
    assert await parked(bench, provider) == []
    await project_all(bench)

    (again,) = await parked(bench, provider)
    assert again.reason == message.reason
