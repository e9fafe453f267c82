"""What users did goes from the outbox to its topic, and reads there as it was said."""

from __future__ import annotations

import os

import pytest

from clarion.bootstrap import Worker
from clarion.contracts.topics import USER_EVENTS
from clarion.contracts.user_events import UserEvent, decode_user_events
from clarion.entrypoints.workers.events import publish
from clarion.kernel.ids import format_id
from clarion.orchestration.ports import Subscription
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def on_the_log(worker: Worker, caller: Caller) -> list[UserEvent]:
    """The tenant's events on the topic, read by a group of their own."""
    reader = Subscription(f"test-{os.urandom(4).hex()}", "reader", USER_EVENTS)
    found: list[UserEvent] = []
    while entries := await worker.log.read(reader, max_entries=1000):
        await worker.log.ack(reader, entries)
        found += [event for entry in entries for event in decode_user_events(entry.payload)]
    return [event for event in found if event.tenant_id == caller.tenant_id]


async def test_what_a_user_did_is_published_in_order(worker: Worker, caller: Caller):
    await caller.user("ada")
    names = ["seen", "tried", "bought"]
    events = [{"user_id": "ada", "event": name, "properties": {"n": 1}} for name in names]
    answer = await caller.call("POST /events/batch", {"events": events})
    ids = [result["event_id"] for result in answer.json()["results"]]
    while (await worker.outbox.backlog())[0]:
        await publish(worker)
    found = await on_the_log(worker, caller)
    assert [event.name for event in found] == names
    assert [format_id(event.event_id) for event in found] == ids


async def test_old_events_go_and_their_counts_stay(worker: Worker, caller: Caller):
    await caller.user("ada")
    assert (await caller.call("POST /events", {"user_id": "ada", "event": "seen"})).status == 202
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE user_events SET received_at = now() - interval '31 days' WHERE tenant_id = $1",
            caller.tenant_id,
        )
    assert not await worker.region.events.drop_old()
    async with worker.region.pools.pipeline() as connection:
        query = "SELECT count(*) FROM user_events WHERE tenant_id = $1"
        assert await connection.fetchval(query, caller.tenant_id) == 0
    answer = await caller.call("POST /segments/preview", {"expression": "events.seen.count == 1"})
    assert answer.json()["members"] == 1
