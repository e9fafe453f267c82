"""A push goes to all of a user's devices, whoever serves them, and what died is forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.pool import Providers
from clarion.bootstrap import Worker
from clarion.delivery.circuit import FAILURES_TO_OPEN
from clarion.delivery.model import Outcome
from clarion.testing.outside import loopback_guard, loopback_transport
from clarion.testing.vendors.fcm import UNREGISTERED
from tests.integration.api.support import Caller
from tests.integration.providers.push import ApnsWorld, FcmWorld, WebWorld, World, authority
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUSH = {"channel_selection": "specified", "channels": ["push"]}


@dataclass(frozen=True)
class Shop:
    """A tenant with Apple, Google and browsers, and a worker who reaches their doubles."""

    bench: Bench
    apple: ApnsWorld
    google: FcmWorld
    web: WebWorld

    async def connect(self, *worlds: World) -> None:
        """Set accounts up."""
        for world in worlds:
            settings, credentials = world.account()
            body = {"kind": world.kind, "channel": "push", "settings": settings, "credentials": credentials}
            answer = await self.bench.caller.call(f"PUT /providers/{world.kind}", body)
            assert answer.status in {200, 201}, answer.body

    async def register(self, platform: str, token: str) -> None:
        """Ada's app starts on a device."""
        body = {"platform": platform, "token": token}
        answer = await self.bench.caller.call("PUT /users/ada/devices", body)
        assert answer.status in {200, 201}, answer.body

    async def devices(self) -> set[str]:
        """The tokens of Ada's devices."""
        answer = await self.bench.caller.call("GET /users/ada/devices")
        return {device["token"] for device in answer.json()["devices"]}

    async def push(self) -> dict[str, Any]:
        """A push to Ada, delivered as far as it goes now; its trace."""
        said = {"title": "Hi", "body": "Hello"}
        sent = await self.bench.caller.notify(user_id="ada", data=said, optimization=PUSH)
        await self.bench.handle()
        trace = await self.bench.caller.call(f"GET /notifications/{sent['notification_id']}/trace")
        return trace.json()["deliveries"][0]


@pytest_asyncio.fixture(loop_scope="session")
async def shop(caller: Caller, worker: Worker) -> AsyncGenerator[Shop]:
    async with AsyncExitStack() as stack:
        transport = loopback_transport(authority().pem)
        stack.push_async_callback(transport.close)
        providers = Providers(worker.region.receipts, worker.clock, transport, loopback_guard().resolve)
        stack.push_async_callback(providers.close)
        mine = replace(worker, dispatch=replace(worker.dispatch, providers=providers))
        worlds = (
            ApnsWorld(stack, worker.clock),
            FcmWorld(stack, worker.clock),
            WebWorld(stack, worker.clock),
        )
        await asyncio.gather(*(world.open() for world in worlds))
        await caller.user("ada")
        yield Shop(Bench(caller, mine), *worlds)


async def test_each_device_is_reached_through_the_service_that_knows_it(shop: Shop):
    await shop.connect(shop.apple, shop.google, shop.web)
    await shop.register("ios", shop.apple.double.register())
    await shop.register("android", "registration:one")
    await shop.register("web", shop.web.double.subscribe())

    delivery = await shop.push()

    assert delivery["status"] == "sent"
    assert delivery["attempts"][-1]["provider"] in {"apns", "fcm", "webpush"}
    assert [world.double.taken for world in (shop.apple, shop.google, shop.web)] == [1, 1, 1]


async def test_one_service_that_is_down_takes_no_device_from_the_others(shop: Shop):
    await shop.connect(shop.apple, shop.google)
    await shop.register("ios", shop.apple.double.register())
    await shop.register("android", "registration:one")
    shop.apple.double.always = (503, "ServiceUnavailable")

    assert (await shop.push())["status"] == "sent"

    assert shop.google.double.taken == 1
    health = shop.bench.worker.dispatch.circuits.state_of((shop.bench.caller.tenant_id, "apns"))
    assert health.failures == 1


async def test_a_service_that_is_given_up_is_left_alone_and_the_others_are_used(shop: Shop):
    await shop.connect(shop.apple, shop.google)
    await shop.register("android", "registration:one")
    await shop.register("ios", shop.apple.double.register())
    circuits, key = shop.bench.worker.dispatch.circuits, (shop.bench.caller.tenant_id, "apns")
    down = [Outcome(b"", "transient", code="unavailable")] * FAILURES_TO_OPEN
    circuits.observe(key, down, shop.bench.worker.clock.now_ms())
    assert circuits.state_of(key).state == "open"

    assert (await shop.push())["status"] == "sent"

    assert (shop.apple.double.taken, shop.google.double.taken) == (0, 1)


async def test_a_device_that_no_account_serves_waits_for_one(shop: Shop):
    """As a channel without any account does: one may be set up before the message is worthless."""
    await shop.connect(shop.google, shop.web)
    await shop.register("ios", shop.apple.double.register())

    delivery = await shop.push()

    assert (delivery["status"], delivery["attempts"]) == ("queued", [])


async def test_a_page_reports_through_the_api_and_only_for_its_own_message(shop: Shop):
    caller = shop.bench.caller
    settings, credentials = shop.web.account()
    account = {"kind": "webpush", "channel": "push", "settings": settings, "credentials": credentials}
    url = (await caller.call("PUT /providers/web", account)).json()["receipts"]["url"]
    account["settings"] = settings | {"receipts_url": f"https://clarion.example{url}"}
    await caller.call("PUT /providers/web", account)
    await shop.register("web", shop.web.double.subscribe())
    assert (await shop.push())["status"] == "sent"
    content = shop.web.double.arrived[0]["content"]

    assert content["receipts"]["url"] == f"https://clarion.example{url}"
    report = {"id": content["id"], "kind": "clicked", "proof": content["receipts"]["proof"]}
    page = {"content-type": "text/plain;charset=UTF-8", "authorization": ""}
    statuses: list[int] = []
    for said in (report, report | {"proof": "made up"}, {"id": "x"}):
        body = json.dumps(said).encode()
        answer = await caller.client.request(f"POST {url}", body=body, headers=page)
        statuses.append(answer.status)
    assert statuses == [200, 401, 400]


async def test_a_dead_device_is_forgotten_and_the_others_stay(shop: Shop):
    await shop.connect(shop.google)
    await shop.register("android", f"{UNREGISTERED}:one")
    await shop.register("android", "registration:two")

    assert (await shop.push())["status"] == "sent"

    assert await shop.devices() == {"registration:two"}


async def test_the_last_device_takes_the_channel_with_it(shop: Shop):
    await shop.connect(shop.google)
    await shop.register("android", f"{UNREGISTERED}:one")

    delivery = await shop.push()

    assert delivery["status"] == "failed"
    assert delivery["attempts"][-1]["code"] == "unregistered"
    assert await shop.devices() == set()
    sent = await shop.bench.caller.notify(user_id="ada", optimization=PUSH)
    assert sent["status"] == "blocked"


async def test_a_device_that_its_app_registered_again_outlives_an_old_death(shop: Shop):
    """Apple says since when a token is dead, and may say so long after the app has it again."""
    await shop.connect(shop.apple)
    token = shop.apple.double.register()
    await shop.register("ios", token)
    now_ms = shop.bench.worker.clock.now_ms()

    shop.apple.double.gone[token] = now_ms - 3_600_000
    assert (await shop.push())["status"] == "failed"
    assert await shop.devices() == {token}

    shop.apple.double.gone[token] = now_ms + 60_000
    assert (await shop.push())["status"] == "failed"
    assert await shop.devices() == set()


async def test_a_profile_does_not_bring_a_dead_device_back_and_its_app_does(shop: Shop):
    """A list that a tenant's system writes each night says nothing of the app."""
    await shop.connect(shop.apple)
    token = shop.apple.double.register()
    profile = {"device_tokens": [{"platform": "ios", "token": token}]}
    await shop.bench.caller.user("ada", **profile)
    shop.apple.double.gone[token] = shop.bench.worker.clock.now_ms() - 3_600_000
    await shop.push()
    assert await shop.devices() == set()

    for name in ("ada", "bob"):
        await shop.bench.caller.user(name, **profile)
        sent = await shop.bench.caller.notify(user_id=name, optimization=PUSH)
        assert sent["status"] == "blocked"
    assert await shop.devices() == set()

    await shop.register("ios", token)
    assert await shop.devices() == {token}


async def test_a_tenants_wrong_key_keeps_messages_and_costs_no_device(shop: Shop):
    await shop.connect(shop.google)
    await shop.register("android", "registration:one")
    shop.google.token_server.script.append(HttpReply(401, {}, b'{"error":"invalid_client"}'))

    delivery = await shop.push()

    assert delivery["status"] == "retrying"
    assert delivery["attempts"][-1]["code"] == "auth"
    assert await shop.devices() == {"registration:one"}


async def test_no_token_is_told_in_a_trace(shop: Shop):
    await shop.connect(shop.web)
    subscription = shop.web.double.subscribe()
    await shop.register("web", subscription)
    shop.web.double.gone.add(json.loads(subscription)["endpoint"].rpartition("/")[2])

    trace = json.dumps(await shop.push())

    assert json.loads(subscription)["keys"]["auth"] not in trace
    assert "/push/1" not in trace
