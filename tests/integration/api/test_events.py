"""What users did: durable, counted once, seen by segments, published with ids only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clarion.contracts.topics import USER_EVENTS
from clarion.contracts.user_events import UserEvent, decode_user_events
from clarion.kernel.ids import parse_id
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def count_of(caller: Caller, expression: str) -> int:
    answer = await caller.call("POST /segments/preview", {"expression": expression})
    assert answer.status == 200, answer.body
    return answer.json()["members"]


async def published(api: Api, caller: Caller) -> list[UserEvent]:
    """What waits in the outbox of this tenant."""
    async with api.gateway.region.pools.pipeline() as connection:
        payloads = await connection.fetch("SELECT payload FROM outbox WHERE topic = $1", USER_EVENTS.name)
    events = [event for (payload,) in payloads for event in decode_user_events(payload)]
    return [event for event in events if event.tenant_id == caller.tenant_id]


async def test_an_event_is_counted_when_it_is_acknowledged(caller: Caller):
    await caller.user("ada")
    await caller.user("bob")
    for _ in range(3):
        answer = await caller.call("POST /events", {"user_id": "ada", "event": "purchase"})
        assert answer.status == 202
        assert parse_id(answer.json()["event_id"])
    assert await count_of(caller, "events.purchase.count > 2") == 1
    assert await count_of(caller, "events.purchase.count == 3") == 1
    assert await count_of(caller, "events.purchase.count < 1") == 1
    assert await count_of(caller, "has(events.purchase)") == 1
    assert await count_of(caller, "events.purchase.last_at > ago('1h')") == 1
    assert await count_of(caller, "!(events.purchase.last_at > ago('1h'))") == 1


async def test_times_go_by_what_the_caller_says(caller: Caller):
    await caller.user("ada")
    now = datetime.now(UTC)
    for days in (40, 3):
        at = (now - timedelta(days=days)).isoformat()
        body = {"user_id": "ada", "event": "log in", "timestamp": at}
        assert (await caller.call("POST /events", body)).status == 202
    assert await count_of(caller, "events['log in'].first_at < ago('30d')") == 1
    assert await count_of(caller, "events['log in'].last_at > ago('7d')") == 1
    assert await count_of(caller, "events['log in'].last_at > ago('2d')") == 0
    assert await count_of(caller, "events['log in'].count_7d == 1 && events['log in'].count == 2") == 1
    assert await count_of(caller, "events['log in'].count_2d == 0") == 1


async def test_a_repeat_counts_once(caller: Caller):
    await caller.user("ada")
    body = {"user_id": "ada", "event": "purchase", "properties": {"total": 3}}
    first = await caller.call("POST /events", body, headers={"Idempotency-Key": "a"})
    again = await caller.call("POST /events", body, headers={"Idempotency-Key": "a"})
    assert (again.status, again.json()) == (202, first.json())
    assert await count_of(caller, "events.purchase.count == 1") == 1


async def test_a_repeat_counts_once_though_the_first_answer_was_never_kept(api: Api, caller: Caller):
    """A process that dies between recording and keeping its answer: the events have the same ids the next time."""
    await caller.user("ada")
    events = [{"user_id": "ada", "event": "purchase"}] * 2
    first = await caller.call("POST /events/batch", {"events": events}, headers={"Idempotency-Key": "b"})
    async with api.gateway.region.pools.pipeline() as connection:
        await connection.execute("DELETE FROM idempotency_keys WHERE tenant_id = $1", caller.tenant_id)
    again = await caller.call("POST /events/batch", {"events": events}, headers={"Idempotency-Key": "b"})
    assert again.json() == first.json()
    assert await count_of(caller, "events.purchase.count == 2") == 1
    assert len(await published(api, caller)) == 2


async def test_a_wrong_event_stops_no_other_and_is_told_by_its_index(caller: Caller):
    await caller.user("ada")
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    events = [
        {"user_id": "ada", "event": "seen"},
        {"user_id": "nobody", "event": "seen"},
        {"user_id": "ada"},
        {"user_id": "ada", "event": "seen", "timestamp": late},
        {"user_id": "ada", "event": "seen", "properties": {"a": "\0"}},
        {"user_id": "ada", "event": "seen", "properties": {"a": "x" * 33_000}},
        {"user_id": "ada", "event": "seen", "timestamp": "2026-01-01T00:00:00"},
        {"user_id": "ada", "event": "seen"},
    ]
    answer = await caller.call("POST /events/batch", {"events": events})
    assert answer.status == 200
    results = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(8))
    paths = [result.get("error", {}).get("path") for result in results]
    assert paths == [None, "user_id", "event", "timestamp", "properties.a", "properties", "timestamp", None]
    assert await count_of(caller, "events.seen.count == 2") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_id": "nobody", "event": "seen"}, 422),
        ({"user_id": "ada", "event": ""}, 400),
        ({"user_id": "ada", "event": "seen", "colour": 1}, 400),
    ],
)
async def test_a_wrong_single_event_is_refused(caller: Caller, body: dict[str, object], status: int):
    await caller.user("ada")
    assert (await caller.call("POST /events", body)).status == status


async def test_what_is_published_holds_ids_and_no_properties(api: Api, caller: Caller):
    await caller.user("ada")
    body = {"user_id": "ada", "event": "sign", "properties": {"name": "Ada Lovelace"}}
    ident = (await caller.call("POST /events", body)).json()["event_id"]
    (event,) = await published(api, caller)
    assert (event.event_id, event.name) == (parse_id(ident), "sign")
    async with api.gateway.region.pools.pipeline() as connection:
        (record,) = await connection.fetch(
            "SELECT properties, user_id FROM user_events WHERE tenant_id = $1", caller.tenant_id
        )
    assert record["properties"]
    assert b"Lovelace" not in record["properties"]
    assert event.user_id == record["user_id"]


async def test_a_deleted_user_leaves_no_event(api: Api, caller: Caller):
    await caller.user("ada")
    await caller.call("POST /events", {"user_id": "ada", "event": "seen"})
    assert (await caller.call("DELETE /users/ada")).status == 204
    async with api.gateway.region.pools.pipeline() as connection:
        for table in ("user_events", "event_rollups"):
            query = f"SELECT count(*) FROM {table} WHERE tenant_id = $1"  # noqa: S608  two names of our own
            assert await connection.fetchval(query, caller.tenant_id) == 0


async def test_another_tenants_users_are_unknown(caller: Caller, other: Caller):
    await caller.user("ada")
    assert (await other.call("POST /events", {"user_id": "ada", "event": "seen"})).status == 422
