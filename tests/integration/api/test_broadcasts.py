"""Asking for a broadcast: what is refused, and what is kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS = {"subject": "Hello", "body": "Hello"}


def body(**fields: Any) -> dict[str, Any]:
    return {"category": "transactional", "data": WORDS, "audience": "all", **fields}


def days(number: int) -> str:
    return (datetime.now(UTC) + timedelta(days=number)).isoformat()


@pytest.mark.parametrize(
    ("fields", "status", "path"),
    [
        ({"audience": None}, 400, "audience"),
        ({"user_ids": ["ada"]}, 400, "audience"),
        ({"audience": "some"}, 400, "audience"),
        ({"audience": None, "user_ids": []}, 400, "user_ids"),
        ({"audience": None, "user_ids": ["a\0b"]}, 400, "user_ids[0]"),
        ({"data": {"body": "a\0b"}}, 400, "data.body"),
        ({"priority": 2}, 400, "priority"),
        ({"rate_per_s": 0}, 400, "rate_per_s"),
        (
            {"optimization": {"send_time": "scheduled", "scheduled_at": days(1)}},
            400,
            "optimization.send_time",
        ),
        ({"send_at": "tomorrow"}, 400, "send_at"),
        ({"send_at": "2026-13-01T09:00"}, 400, "send_at"),
        ({"send_at": "0001-01-01T00:00"}, 400, "send_at"),
        ({"send_at": "9999-12-31T23:59"}, 400, "send_at"),
        ({"send_at": "0001-01-01T00:00+23:59"}, 400, "send_at"),
        ({"send_at": days(-1)}, 400, "send_at"),
        ({"send_at": days(100)}, 400, "send_at"),
        ({"send_at": days(2), "expires_at": days(1)}, 400, "expires_at"),
        ({"surprise": 1}, 400, "surprise"),
        ({"category": "nothing"}, 422, "category"),
        ({"template": "nothing"}, 422, "template"),
        ({"audience": None, "segment": "nothing"}, 422, "segment"),
        ({"data": {}}, 400, "data"),
    ],
)
async def test_what_cannot_be_sent_is_refused_at_once(
    caller: Caller, fields: dict[str, Any], status: int, path: str
):
    asked = {name: value for name, value in body(**fields).items() if value is not None}
    answer = await caller.call("POST /broadcasts", asked)
    assert answer.status == status, answer.body
    assert answer.json()["errors"][0]["path"] == path


async def test_a_repeat_makes_no_second_broadcast(caller: Caller):
    headers = {"idempotency-key": "winter"}
    first = await caller.call("POST /broadcasts", body(), headers=headers)
    again = await caller.call("POST /broadcasts", body(), headers=headers)

    assert first.status == again.status == 202
    assert first.json() == again.json()
    listed = (await caller.call("GET /broadcasts")).json()["broadcasts"]
    assert [one["broadcast_id"] for one in listed] == [first.json()["broadcast_id"]]


async def test_a_maker_who_died_before_the_answer_made_one_broadcast(api: Api, caller: Caller):
    """The answer is kept after the broadcast: between the two an API may be killed."""
    headers = {"idempotency-key": "winter"}
    first = await caller.call("POST /broadcasts", body(), headers=headers)
    async with api.gateway.region.pools.pipeline() as connection:
        await connection.execute("DELETE FROM idempotency_keys WHERE tenant_id = $1", caller.tenant_id)

    again = await caller.call("POST /broadcasts", body(), headers=headers)

    assert again.json() == first.json()


async def test_a_list_of_a_hundred_thousand_is_taken(caller: Caller):
    names = [f"user-{number}" for number in range(100_000)]
    answer = await caller.call(
        "POST /broadcasts", {"category": "transactional", "data": WORDS, "user_ids": names}
    )
    assert answer.status == 202
    too_many = await caller.call(
        "POST /broadcasts", {"category": "transactional", "data": WORDS, "user_ids": [*names, "one-more"]}
    )
    assert too_many.status == 400


async def test_broadcasts_are_listed_page_by_page(caller: Caller):
    made = [
        (await caller.call("POST /broadcasts", body(name=str(number)))).json()["broadcast_id"]
        for number in range(3)
    ]
    page = (await caller.call("GET /broadcasts?limit=2")).json()
    rest = (await caller.call(f"GET /broadcasts?limit=2&cursor={page['next_cursor']}")).json()

    assert [one["name"] for one in page["broadcasts"]] == ["2", "1"]
    assert [one["broadcast_id"] for one in rest["broadcasts"]] == made[:1]
    assert rest["next_cursor"] is None
    assert (await caller.call("GET /broadcasts?cursor=x")).status == 400


async def test_another_tenants_broadcast_does_not_exist(caller: Caller, other: Caller):
    ident = (await caller.call("POST /broadcasts", body())).json()["broadcast_id"]

    lines = ["GET /broadcasts/{}", *(f"POST /broadcasts/{{}}/{act}" for act in ("pause", "resume", "cancel"))]
    answers = await asyncio.gather(*(other.call(line.format(ident)) for line in lines))

    assert {answer.status for answer in answers} == {404}
    assert (await other.call("GET /broadcasts")).json()["broadcasts"] == []
    assert (await caller.call(f"GET /broadcasts/{ident}")).status == 200
    assert (await caller.call("GET /broadcasts/what")).status == 404


async def test_reading_and_steering_need_their_scopes(api: Api, caller: Caller):
    reader = api.client(await api.key(caller.tenant_id, ["broadcasts:read"]))
    assert (await reader.request("GET /api/v1/broadcasts")).status == 200
    assert (await reader.request("POST /api/v1/broadcasts", body())).status == 403
