"""Push against software from npm: a push service that decrypts, and a client for Apple's."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from clarion.adapters.providers.webpush.account import public_key_of, read_account
from clarion.audience.model import DeviceToken
from clarion.delivery.ports import Provider
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import format_id
from clarion.tenancy.config import ProviderConfig
from clarion.testing.http import HttpClient
from clarion.testing.vendors import wire2
from clarion.testing.vendors.apns import KEY_ID, TEAM_ID, TOPIC, ApnsDouble
from tests.integration.providers.push import (
    SUBJECT,
    TENANT,
    VAPID_KEY,
    WebWorld,
    authority,
    opened,
    push,
    send_one,
)
from tests.oracles.npm import require, run_node, started

pytestmark = pytest.mark.oracle

LOOPBACK = Path(__file__).with_name("loopback.cjs")
OTHER_KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
CREDENTIALS = {"private_key": VAPID_KEY}
ACCOUNT = ProviderConfig("account", TENANT, "webpush", "push", {"subject": SUBJECT}, CREDENTIALS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def push_service() -> Generator[HttpClient]:
    """`web-push-testing`: it checks the sender's signature and decrypts. Its endpoints name the port it is given."""
    package, port = require("web-push-testing"), free_port()
    server = package / "src" / "bin" / "server.js"
    with started(["--require", str(LOOPBACK), str(server), str(port)], "Server running"):
        yield HttpClient("127.0.0.1", port)


@pytest_asyncio.fixture
async def provider() -> AsyncGenerator[Provider]:
    async with opened(WebWorld, StoreClock()) as world:
        yield world.provider()


async def subscribe(service: HttpClient) -> tuple[DeviceToken, str]:
    """A device that subscribed, and what the service calls it."""
    options = {"userVisibleOnly": "true", "applicationServerKey": public_key_of(read_account(ACCOUNT).key)}
    answer = (await service.request("POST /subscribe", options)).json()["data"]
    client = answer.pop("clientHash")
    return DeviceToken("web", json.dumps(answer)), client


async def test_it_reads_what_we_send(push_service: HttpClient, provider: Provider) -> None:
    device, client = await subscribe(push_service)
    message = push(device, title="Grüße", body="Hällo 👋", collapse_key="cart")
    outcome = await send_one(provider, message)
    assert outcome.kind == "sent", outcome
    found = (await push_service.request("POST /get-notifications", {"clientHash": client})).json()
    (shown,) = found["data"]["messages"]
    assert json.loads(shown) == {
        "id": format_id(message.delivery_id),
        "title": "Grüße",
        "body": "Hällo 👋",
        "data": {"id": message.delivery_id.hex()},
        "tag": "cart",
    }


async def test_another_senders_signature_is_refused(push_service: HttpClient) -> None:
    device, _ = await subscribe(push_service)
    async with opened(WebWorld, StoreClock()) as world:
        outcome = await send_one(world.provider({"private_key": OTHER_KEY}), push(device))
    assert outcome.kind == "permanent"


async def test_a_subscription_that_ended_is_a_dead_device(
    push_service: HttpClient, provider: Provider
) -> None:
    device, client = await subscribe(push_service)
    await push_service.request(f"POST /expire-subscription/{client}", {})
    outcome = await send_one(provider, push(device))
    assert outcome.code == "gone"
    assert [dead.token for dead in outcome.dead_tokens] == [device.token]


SEND_WITH_NODE_APN = """
const apn = require("@parse/node-apn");
const said = JSON.parse(process.env.SAID);
const provider = new apn.Provider({
  token: { key: said.key, keyId: said.keyId, teamId: said.teamId },
  address: "127.0.0.1", port: said.port, rejectUnauthorized: false, production: true,
});
const note = new apn.Notification();
note.topic = said.topic;
note.alert = { title: "Hi", body: "Hello" };
note.pushType = "alert";
provider.send(note, said.tokens).then((result) => {
  const failed = result.failed.map((one) => [one.device, Number(one.status), one.response && one.response.reason]);
  console.log(JSON.stringify({ sent: result.sent.map((one) => one.device), failed }));
  provider.shutdown(() => process.exit(0));
});
"""


async def test_its_client_for_apple_gets_from_our_double_what_apple_answers() -> None:
    require("@parse/node-apn")
    double = ApnsDouble()
    well, gone, stranger = double.register(), double.register(), "ab" * 32
    double.gone[gone] = 1_800_000_000_000
    async with wire2.serve(double, authority().server("127.0.0.1")) as server:
        said: dict[str, Any] = {
            "key": double.credentials()["key"],
            "keyId": KEY_ID,
            "teamId": TEAM_ID,
            "topic": TOPIC,
            "port": int(server.url.rpartition(":")[2]),
            "tokens": [well, gone, stranger],
        }
        environment = {"SAID": json.dumps(said)}
        printed = await asyncio.to_thread(run_node, SEND_WITH_NODE_APN, environment=environment)
    result = json.loads(printed)
    assert result["sent"] == [well]
    assert sorted(result["failed"]) == sorted(
        [[gone, 410, "Unregistered"], [stranger, 400, "DeviceTokenNotForTopic"]]
    )
