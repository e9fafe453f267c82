"""Stores that go away and come back: what is promised meanwhile, and that nothing is promised that is not kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from clarion.testing.http import HttpAnswer
from clarion.testing.stores import SharedStores
from clarion.testing.waiting import eventually
from clarion.testing.wire import Wire
from tests.integration.api.receipts_support import Teller, sent
from tests.integration.api.support import Api, Caller, notification, running_api

CONSENT = {"user_id": "ada", "channel": "all", "category": "all", "consented": True, "source": "t"}


class Cut:
    """An API whose wires to its stores can be cut."""

    def __init__(self, api: Api, postgres: Wire, valkey: Wire) -> None:
        self.api = api
        self.postgres = postgres
        self.valkey = valkey


def behind(url: str, wire: Wire) -> str:
    """The URL with the wire's own end in the store's place."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    place = f"127.0.0.1:{wire.port}"
    return parts._replace(netloc=f"{login}@{place}" if login else place).geturl()


@pytest_asyncio.fixture
async def cut(stores: SharedStores) -> AsyncGenerator[Cut]:
    postgres, valkey = urlsplit(stores.postgres_url), urlsplit(stores.valkey_url)
    async with Wire(postgres.port or 0) as to_postgres, Wire(valkey.port or 0) as to_valkey:
        urls = behind(stores.postgres_url, to_postgres), behind(stores.valkey_url, to_valkey)
        async with running_api(*urls) as api:
            yield Cut(api, to_postgres, to_valkey)


async def readiness(api: Api) -> tuple[int, str]:
    answer = await api.client().request("GET /readyz")
    return answer.status, answer.json()["status"]


async def accepted(caller: Caller) -> bool:
    return (await caller.call("POST /notifications", notification())).status == 201


async def test_without_postgres_nothing_is_promised(cut: Cut):
    caller = await cut.api.tenant()
    await caller.user()
    sent = {"idempotency-key": "through-the-outage"}
    await cut.postgres.cut()
    for line, body in (
        ("POST /notifications", notification()),
        ("POST /notifications/batch", {"notifications": [notification()]}),
        (
            "POST /compliance/consent",
            {"user_id": "ada", "channel": "all", "category": "all", "consented": True, "source": "t"},
        ),
        ("GET /users/ada", None),
        ("PUT /users/ada", {}),
    ):
        answer = await caller.call(line, body, headers=sent)
        assert answer.status == 503, (line, answer.body)
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["type"] == "urn:clarion:problem:unavailable"
    assert await readiness(cut.api) == (503, "unavailable")
    assert (await cut.api.client().request("GET /healthz")).status == 200
    await cut.postgres.mend()
    await eventually(lambda: accepted(caller))
    kept = await caller.call("POST /notifications", notification(), headers=sent)
    assert kept.status == 201
    assert "idempotent-replayed" not in kept.headers
    listed = (await caller.call("GET /notifications?limit=100")).json()["notifications"]
    assert kept.json()["notification_id"] in {one["notification_id"] for one in listed}
    assert (await readiness(cut.api))[0] == 200


async def test_without_valkey_accepts_go_on(cut: Cut):
    caller = await cut.api.tenant()
    await caller.user()
    await cut.valkey.cut()
    answer = await caller.call("POST /notifications", notification())
    assert answer.status == 201
    assert answer.headers["ratelimit-limit"] == "40000"
    batch = await caller.call("POST /notifications/batch", {"notifications": [notification()] * 50})
    assert batch.status == 201
    assert await readiness(cut.api) == (200, "degraded")
    context = await caller.call("POST /personalization/context", {"user_id": "ada", "context": {"a": 1}})
    assert context.status == 503
    await cut.valkey.mend()
    await eventually(lambda: is_ready(cut.api))


async def is_ready(api: Api) -> bool:
    return await readiness(api) == (200, "ready")


async def test_the_rate_limit_holds_without_valkey(cut: Cut):
    caller = await cut.api.tenant(rate_per_s=0.01, rate_burst=3)
    await cut.valkey.cut()
    statuses = [(await caller.call("GET /me")).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


async def test_a_user_who_changed_while_valkey_was_away_is_decided_on_as_she_is(cut: Cut):
    caller = await cut.api.tenant()
    await caller.user()
    assert (await caller.notify())["channels"] == ["email"]
    await cut.valkey.cut()
    assert (await caller.call("PUT /users/ada", {"phone": "+442071838750"})).status == 200
    assert (await caller.notify())["channels"] == ["sms"]
    await cut.valkey.mend()
    await eventually(lambda: channels_are(caller, ["sms"]))


async def channels_are(caller: Caller, channels: list[str]) -> bool:
    return (await caller.notify())["channels"] == channels


async def test_a_hung_valkey_delays_by_its_time_out_and_no_more(cut: Cut):
    caller = await cut.api.tenant()
    await caller.user()
    await caller.notify()
    cut.valkey.hang()
    began = time.monotonic()
    for _ in range(10):
        assert (await caller.call("GET /me")).status == 200
    assert time.monotonic() - began < 5
    cut.valkey.flow()


@pytest.mark.parametrize("clients", [50])
async def test_clients_that_retry_through_an_outage_get_one_notification_each(cut: Cut, clients: int):
    caller = await cut.api.tenant()
    await caller.user()

    async def insist(number: int) -> str:
        sent = {"idempotency-key": f"client-{number}"}

        async def attempt() -> HttpAnswer:
            answer = await caller.call("POST /notifications", notification(), headers=sent)
            assert answer.status in {201, 409, 503}
            return answer

        answer = await eventually(attempt, lambda answer: answer.status == 201)
        return answer.json()["notification_id"]

    waiting = [asyncio.create_task(insist(number)) for number in range(clients)]
    await cut.postgres.cut()
    await asyncio.wait(waiting, timeout=0.3)
    await cut.postgres.mend()
    told = await asyncio.gather(*waiting)
    assert len(set(told)) == clients
    listed = (await caller.call("GET /notifications?limit=100")).json()["notifications"]
    assert {one["notification_id"] for one in listed} == set(told)


async def test_receipts_outlast_valkey_and_wait_for_postgres(cut: Cut):
    caller = await cut.api.tenant()
    await caller.user()
    teller = Teller(cut.api, caller)
    delivery = await sent(cut.api, caller)
    await cut.valkey.cut()
    await teller.say(delivery, "delivered")
    assert (await delivery.shown())["status"] == "delivered"
    await cut.valkey.mend()
    await cut.postgres.cut()
    refused = await teller.post(delivery, "engaged")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    await cut.postgres.mend()

    async def taken() -> bool:
        return (await teller.post(delivery, "engaged")).status == 200

    await eventually(taken)
    await teller.fold()
    assert (await delivery.shown())["status"] == "engaged"
