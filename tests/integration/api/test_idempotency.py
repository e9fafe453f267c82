"""Every row of the idempotency table: a repeat is a repeat, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from clarion.adapters.postgres.queries import load_queries
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYED: list[tuple[str, Any, int]] = [
    ("POST /notifications", notification(), 201),
    ("POST /notifications/batch", {"notifications": [notification(), notification(user_id="no")]}, 201),
    ("POST /users/batch", {"users": [{"user_id": "bob"}]}, 200),
    ("POST /templates/hello/preview", {"user_id": "ada"}, 200),
    ("POST /compliance/consent", None, 200),
    ("POST /personalization/context", {"user_id": "ada", "context": {"cart": 3}}, 200),
    ("POST /keys", {"name": "second"}, 201),
]
CONSENT = {"user_id": "ada", "channel": "email", "category": "marketing", "consented": True, "source": "t"}
CONTEXT: dict[str, Any] = {"user_id": "ada", "context": {}}
IDS = [line.split(" ")[1].strip("/") for line, _, _ in KEYED]


async def prepare(caller: Caller) -> None:
    await caller.user()
    said = {"category": "service", "channels": {"sms": {"body": "Hello {{ user.first_name }}"}}}
    assert (await caller.call("PUT /templates/hello", said)).status == 200


@pytest.mark.parametrize(("line", "body", "status"), KEYED, ids=IDS)
async def test_a_repeat_gets_the_first_answer_and_does_nothing(
    caller: Caller, line: str, body: Any, status: int
):
    await prepare(caller)
    sent = {"idempotency-key": "order-1815"}
    first = await caller.call(line, body or CONSENT, headers=sent)
    assert first.status == status
    assert "idempotent-replayed" not in first.headers
    for _ in range(2):
        again = await caller.call(line, body or CONSENT, headers=sent)
        assert (again.status, again.body) == (status, first.body)
        assert again.headers["idempotent-replayed"] == "true"
    assert await notifications_of(caller) == line.startswith("POST /notifications")


async def notifications_of(caller: Caller) -> int:
    return len((await caller.call("GET /notifications?limit=100")).json()["notifications"])


@pytest.mark.parametrize(("line", "body", "status"), KEYED, ids=IDS)
async def test_the_same_key_with_another_body(caller: Caller, line: str, body: Any, status: int):
    await prepare(caller)
    sent = {"idempotency-key": "order-1815"}
    assert (await caller.call(line, body or CONSENT, headers=sent)).status == status
    other = await caller.call(line, body=msgspec.json.encode(body or CONSENT) + b" ", headers=sent)
    assert other.status == 422
    assert other.json()["type"] == "urn:clarion:problem:key-mismatch"


async def test_the_same_key_on_another_path(caller: Caller):
    await caller.user()
    ids = [(await caller.notify())["notification_id"] for _ in range(2)]
    sent = {"idempotency-key": "stop"}
    first = await caller.call(f"POST /notifications/{ids[0]}/cancel", headers=sent)
    assert first.status == 200
    again = await caller.call(f"POST /notifications/{ids[0]}/cancel", headers=sent)
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (200, first.body, "true")
    assert (await caller.call(f"POST /notifications/{ids[1]}/cancel", headers=sent)).status == 422


async def test_routes_tenants_and_environments_have_keys_of_their_own(
    api: Api, caller: Caller, other: Caller
):
    await prepare(caller)
    await other.user()
    sent = {"idempotency-key": "k"}
    answers = [
        await caller.call("POST /notifications", notification(), headers=sent),
        await caller.call("POST /notifications/batch", {"notifications": [notification()]}, headers=sent),
        await other.call("POST /notifications", notification(), headers=sent),
    ]
    test_key = await api.key(caller.tenant_id, environment="test")
    body = msgspec.json.encode(notification())
    headers = {**sent, "content-type": "application/json"}
    answers.append(
        await api.client(test_key).request("POST /api/v1/notifications", body=body, headers=headers)
    )
    assert [answer.status for answer in answers] == [201] * 4
    assert not any("idempotent-replayed" in answer.headers for answer in answers)
    assert len({answer.body for answer in answers}) == 4


@pytest.mark.parametrize("line", ["POST /notifications", "POST /compliance/consent"])
async def test_50_clients_with_one_key_at_once(caller: Caller, line: str):
    await caller.user()
    body = notification() if line.endswith("notifications") else CONSENT
    sent = {"idempotency-key": "rush"}
    answers = await asyncio.gather(*(caller.call(line, body, headers=sent) for _ in range(50)))
    done = [answer for answer in answers if answer.status in {200, 201}]
    busy = [answer for answer in answers if answer.status == 409]
    assert len(done) + len(busy) == 50
    assert len({answer.body for answer in done}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in done) == 1
    assert all(answer.headers["retry-after"] == "1" for answer in busy)
    assert all(answer.json()["type"] == "urn:clarion:problem:key-in-use" for answer in busy)
    assert await notifications_of(caller) == line.endswith("notifications")


@pytest.mark.parametrize("line", ["POST /notifications", "POST /compliance/consent"])
async def test_a_key_whose_request_runs_elsewhere_is_told_to_wait(api: Api, caller: Caller, line: str):
    await caller.user()
    name = f"{caller.tenant_id.hex()}:live:POST /api/v1{line.partition(' ')[2]}:slow"
    body = notification() if line.endswith("notifications") else CONSENT
    sent = {"idempotency-key": "slow"}
    lock = load_queries("accept")["lock_keys"]
    async with api.gateway.region.pools.pipeline() as connection, connection.transaction():
        assert await connection.fetchval(lock, [name])
        answer = await caller.call(line, body, headers=sent)
        assert answer.status == 409
        assert answer.headers["retry-after"] == "1"
    assert (await caller.call(line, body, headers=sent)).status in {200, 201}


@pytest.mark.parametrize(
    ("line", "wrong", "status"),
    [
        ("POST /notifications", notification(user_id="nobody"), 422),
        ("POST /notifications", notification(priority=99), 400),
        ("POST /personalization/context", {"user_id": "nobody", "context": {}}, 422),
        ("POST /templates/none/preview", {}, 404),
    ],
    ids=["unknown", "invalid", "context", "not-found"],
)
async def test_what_was_refused_is_not_kept(caller: Caller, line: str, wrong: Any, status: int):
    await prepare(caller)
    sent = {"idempotency-key": "again"}
    for _ in range(2):
        answer = await caller.call(line, wrong, headers=sent)
        assert answer.status == status
        assert "idempotent-replayed" not in answer.headers
    right = notification() if line == "POST /notifications" else CONTEXT
    if status == 404:
        line, right = "POST /templates/hello/preview", {"user_id": "ada"}
    assert (await caller.call(line, right, headers=sent)).status in {200, 201}


async def test_a_repeat_is_answered_though_it_would_fail_now(caller: Caller):
    await caller.user()
    sent = {"idempotency-key": "then"}
    first = await caller.call("POST /notifications", notification(), headers=sent)
    assert (await caller.call("DELETE /users/ada")).status == 204
    again = await caller.call("POST /notifications", notification(), headers=sent)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    other = await caller.call("POST /notifications", notification(priority=1), headers=sent)
    assert other.status == 422
    assert other.json()["type"] == "urn:clarion:problem:key-mismatch"


async def test_a_key_is_new_after_24_hours(api: Api, caller: Caller):
    await caller.user()
    sent = {"idempotency-key": "yesterday"}
    first = await caller.call("POST /notifications", notification(), headers=sent)
    await age_keys(api, caller, "23 hours 59 minutes")
    assert (await caller.call("POST /notifications", notification(), headers=sent)).body == first.body
    await age_keys(api, caller, "2 minutes")
    second = await caller.call("POST /notifications", notification(priority=1), headers=sent)
    assert second.status == 201
    assert second.body != first.body


async def age_keys(api: Api, caller: Caller, span: str) -> None:
    async with api.gateway.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE idempotency_keys SET created_at = created_at - $2::text::interval WHERE tenant_id = $1",
            caller.tenant_id,
            span,
        )


@pytest.mark.parametrize(
    ("first", "second"),
    [("abc", '"abc"'), ('"a\\"b"', 'a"b'), ("a b", '"a b"'), ("k" * 255, '"' + "k" * 255 + '"')],
)
async def test_a_key_is_the_same_bare_and_quoted(caller: Caller, first: str, second: str):
    await caller.user()
    answers = [
        await caller.call("POST /notifications", notification(), headers={"idempotency-key": key})
        for key in (first, second)
    ]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[1].headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", ["k" * 256, '""', '"open', "tab\there", "é", '"a"b'])
@pytest.mark.parametrize("line", ["POST /notifications", "POST /personalization/context"])
async def test_a_key_that_is_none(caller: Caller, line: str, key: str):
    await caller.user()
    body = notification() if line.endswith("notifications") else CONTEXT
    answer = await caller.call(line, body, headers={"idempotency-key": key})
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == "Idempotency-Key"


async def test_kept_answers_hold_nothing_in_clear(api: Api, caller: Caller):
    await prepare(caller)
    sent = {"idempotency-key": "secret"}
    key = (await caller.call("POST /keys", {"name": "kept"}, headers=sent)).json()["key"]
    await caller.call("POST /templates/hello/preview", {"user_id": "ada"}, headers=sent)
    async with api.gateway.region.pools.pipeline() as connection:
        rows = await connection.fetch(
            "SELECT body FROM idempotency_keys WHERE tenant_id = $1", caller.tenant_id
        )
    kept = b"".join(row["body"] for row in rows)
    assert len(rows) == 2
    assert key.encode() not in kept
    assert b"Ada" not in kept
