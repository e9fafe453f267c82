"""Web Push, as a browser's double has it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.webhooks import WebhookCall
from clarion.adapters.providers.webpush import read_webpush
from clarion.adapters.providers.webpush.account import WebPushAccount, public_key_of, read_account
from clarion.adapters.providers.webpush.encryption import MAX_PLAIN
from clarion.audience.model import DeviceToken
from clarion.delivery.model import DeadToken
from clarion.kernel.errors import Invalid, Refused
from clarion.kernel.ids import format_id
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.vendors.wire import DROP, HANG
from tests.integration.providers.push import (
    ANDROID,
    NOW_MS,
    SUBJECT,
    TENANT,
    VAPID_KEY,
    WebWorld,
    opened,
    push,
    send_one,
)


@pytest_asyncio.fixture
async def world() -> AsyncGenerator[WebWorld]:
    async with opened(WebWorld) as world:
        yield world


OTHER_KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"


def account_config() -> ProviderConfig:
    credentials = {"private_key": VAPID_KEY}
    return ProviderConfig("account", TENANT, "webpush", "push", {"subject": SUBJECT}, credentials)


def account() -> WebPushAccount:
    return read_account(account_config())


async def test_a_browser_reads_all_that_a_message_says(world: WebWorld) -> None:
    world.double.application_key = account().public_key
    message = push(world.device(), collapse_key="cart", priority=1, expires_ms=NOW_MS + 90_000)
    outcome = await send_one(world.provider(), message)
    assert outcome.kind == "sent"
    assert outcome.provider_message_id == f"{world.server.url}/message/1"
    arrived = world.double.arrived[0]
    assert arrived["content"] == {
        "id": format_id(message.delivery_id),
        "title": "Hi",
        "body": "Hello",
        "data": {"id": message.delivery_id.hex()},
        "tag": "cart",
    }
    headers = arrived["headers"]
    assert (headers["ttl"], headers["urgency"], headers["topic"]) == ("90", "high", "cart")


async def test_without_an_expiry_a_message_waits_for_as_long_as_the_account_says(world: WebWorld) -> None:
    await send_one(world.provider(), push(world.device()))
    await send_one(world.provider(ttl_s=60), push(world.device()))
    assert [arrived["headers"]["ttl"] for arrived in world.double.arrived] == ["2419200", "60"]


async def test_a_collapse_key_that_is_no_topic_becomes_one(world: WebWorld) -> None:
    keys = ["order 4711 – ready", "order 4711 – ready", "x" * 33]
    await world.provider().send([push(world.device(), collapse_key=key) for key in keys])
    topics = [arrived["headers"]["topic"] for arrived in world.double.arrived]
    assert len(set(topics)) == 2
    assert all(len(topic) == 32 for topic in topics)


async def test_an_origin_is_told_once_who_sends_and_again_before_that_ends(world: WebWorld) -> None:
    assert isinstance(world.clock, ManualClock)
    provider = world.provider()
    await provider.send([push(world.device()) for _ in range(20)])
    assert len(world.double.authorizations) == 1
    world.clock.advance(7 * 3600)
    await send_one(provider, push(world.device()))
    assert len(world.double.authorizations) == 2


async def test_a_subscription_that_ended_is_a_dead_device(world: WebWorld) -> None:
    device = world.device()
    world.double.gone.add(json.loads(device.token)["endpoint"].rpartition("/")[2])
    outcome = await send_one(world.provider(), push(device, world.device()))
    assert outcome.kind == "sent"
    assert list(outcome.dead_tokens) == [DeadToken(device.token)]


@pytest.mark.parametrize(
    "token",
    [
        "{}",
        '{"endpoint":',
        '{"endpoint":"https://push.example/1","keys":{"p256dh":"AAAA","auth":"AAAAAAAAAAAAAAAAAAAAAA"}}',
        '{"endpoint":"ftp://push.example/1","keys":{"p256dh":"AAAA","auth":"AAAA"}}',
        '{"endpoint":"https://push.example:99999999/1","keys":{"p256dh":"AAAA","auth":"AAAA"}}',
        '{"endpoint":"https://push.example/1","keys":{"p256dh":"\\u00e9","auth":"AAAA"}}',
        "{" + "[" * 4000,
    ],
)
async def test_what_can_never_be_sent_to_is_a_dead_device(world: WebWorld, token: str) -> None:
    outcome = await send_one(world.provider(), push(DeviceToken("web", token)))
    assert (outcome.kind, outcome.code) == ("permanent", "bad_subscription")
    assert list(outcome.dead_tokens) == [DeadToken(token)]


@pytest.mark.parametrize(
    "endpoint",
    ["http://10.0.0.1/push/1", "https://169.254.169.254/latest/meta-data", "https://[fd00::1]:8443/push/1"],
)
async def test_who_subscribes_cannot_choose_what_we_reach(world: WebWorld, endpoint: str) -> None:
    """Nor open the account's breaker with it."""
    token = json.loads(world.device().token) | {"endpoint": endpoint}
    outcome = await send_one(world.provider(), push(DeviceToken("web", json.dumps(token))))
    assert outcome.kind == "transient"
    assert outcome.code.startswith("rcpt_")


async def test_a_server_that_drips_or_drops_concerns_its_own_devices_alone(world: WebWorld) -> None:
    provider = world.provider(timeout_s=0.3)
    world.server.script.append(DROP)
    outcome = await send_one(provider, push(world.device()))
    assert outcome.kind == "ambiguous"
    assert outcome.code.startswith("rcpt_")
    world.server.script.append(HANG)
    assert (await send_one(provider, push(world.device()))).kind == "ambiguous"


@pytest.mark.parametrize(
    ("reply", "kind", "stranger", "acquaintance"),
    [
        (HttpReply(401, {}, b""), "transient", "rcpt_auth", "auth"),
        (HttpReply(429, {"retry-after": "7"}, b""), "throttled", "rcpt_http_429", "http_429"),
        (HttpReply(503, {}, b""), "transient", "rcpt_http_503", "http_503"),
        (HttpReply(400, {}, b""), "permanent", "rcpt_http_400", "http_400"),
        (HttpReply(413, {}, b""), "permanent", "too_large", "too_large"),
        (HttpReply(307, {"location": "/"}, b""), "transient", "rcpt_redirect", "redirect"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, HttpReply) else str(value),
)
async def test_the_word_of_a_stranger_says_nothing_of_the_account(
    world: WebWorld, reply: HttpReply, kind: str, stranger: str, acquaintance: str
) -> None:
    provider = world.provider()
    for code in (stranger, acquaintance):
        world.server.script.append(reply)
        outcome = await send_one(provider, push(world.device()))
        assert (outcome.kind, outcome.code) == (kind, code)
        assert (await send_one(provider, push(world.device()))).kind == "sent"


async def test_a_subscription_to_another_key_is_that_devices_trouble(world: WebWorld) -> None:
    provider = world.provider()
    await send_one(provider, push(world.device()))
    world.double.application_key = "another"
    outcome = await send_one(provider, push(world.device()))
    assert (outcome.kind, outcome.code) == ("permanent", "rcpt_other_key")


async def test_the_largest_message_goes_and_a_larger_one_is_refused_with_its_size(world: WebWorld) -> None:
    small = push(world.device(), data={}, title="", body="x")
    frame = len(json.dumps({"id": format_id(small.delivery_id), "body": ""}, separators=(",", ":")))
    largest = push(world.device(), data={}, title="", body="x" * (MAX_PLAIN - frame))
    larger = push(world.device(), data={}, title="", body="x" * (MAX_PLAIN - frame + 1))
    outcomes = await world.provider().send([largest, larger])
    assert [(outcome.kind, outcome.code) for outcome in outcomes] == [
        ("sent", ""),
        ("permanent", "too_large"),
    ]
    assert str(MAX_PLAIN + 1) in outcomes[1].detail


async def test_devices_of_other_services_are_refused_by_name(world: WebWorld) -> None:
    assert (await send_one(world.provider(), push(ANDROID))).code == "no_device"


async def test_a_relay_takes_the_place_of_the_servers_that_browsers_name(world: WebWorld) -> None:
    token = json.loads(world.device().token)
    relay = world.server.url
    token["endpoint"] = token["endpoint"].replace(relay, "https://push.example")
    world.double.origin = "https://push.example"
    outcome = await send_one(world.provider(base_url=relay), push(DeviceToken("web", json.dumps(token))))
    assert outcome.kind == "sent"


async def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


def report(world: WebWorld, **changes: str) -> WebhookCall:
    """What a page's service worker reports of the last message."""
    content = world.double.arrived[-1]["content"]
    said = {"id": content["id"], "kind": "clicked", "proof": content["receipts"]["proof"]} | changes
    return WebhookCall("POST", content["receipts"]["url"], {}, json.dumps(said).encode(), NOW_MS + 5)


@pytest.mark.parametrize("kind", ["delivered", "opened", "clicked"])
async def test_a_page_reports_what_became_of_its_message(world: WebWorld, kind: str) -> None:
    message = push(world.device())
    await send_one(world.provider(receipts_url="https://clarion.example/api/v1/receipts/b?token=t"), message)
    calls = [report(world, kind=kind) for _ in range(2)]
    first, second = [await read_webpush(call, account_config(), no_fetch) for call in calls]
    assert [(one.kind, one.delivery_id, one.at_ms) for one in first.feedback] == [
        (kind, message.delivery_id, NOW_MS + 5)
    ]
    assert first == second, "a repeat is told by its event"


async def test_nobody_reports_a_message_that_she_did_not_get(world: WebWorld) -> None:
    provider = world.provider(receipts_url="https://clarion.example/r")
    await send_one(provider, push(world.device()))
    stolen = report(world)
    await send_one(provider, push(world.device()))
    own = json.loads(report(world).raw)
    for changes in ({"proof": json.loads(stolen.raw)["proof"]}, {"proof": "é"}, {"proof": own["proof"][:-1]}):
        with pytest.raises(Refused):
            await read_webpush(report(world, **changes), account_config(), no_fetch)
    other = msgspec.structs.replace(account_config(), credentials={"private_key": OTHER_KEY})
    with pytest.raises(Refused):
        await read_webpush(report(world), other, no_fetch)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[" * 50_000, b"\xff", b'{"id":"x","kind":"opened","proof":"x"}']
)
async def test_what_is_no_report_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        await read_webpush(WebhookCall("POST", "", {}, raw, NOW_MS), account_config(), no_fetch)


def test_the_public_key_is_what_browsers_subscribe_to() -> None:
    key = account()
    point = urlsafe_b64decode(key.public_key + "=")
    assert len(point) == 65
    assert public_key_of(key.key) == key.public_key


async def test_a_key_is_taken_in_pem_too(world: WebWorld) -> None:
    pem = account().key.as_pem(private=True).decode()
    world.double.application_key = account().public_key
    assert (await send_one(world.provider({"private_key": pem}), push(world.device()))).kind == "sent"


@pytest.mark.parametrize(
    ("settings", "credentials", "path"),
    [
        ({"subject": "ops@shop.example"}, {}, "settings.subject"),
        ({"ttl_s": 10_000_000}, {}, "settings.ttl_s"),
        ({"timeout_s": 0}, {}, "settings.timeout_s"),
        ({}, {"private_key": "AAAA" * 20}, "credentials.private_key"),
        ({}, {"private_key": "é"}, "credentials.private_key"),
        ({}, {"private_key": "-----BEGIN nothing"}, "credentials.private_key"),
        ({}, {"public_key": "x"}, "credentials.public_key"),
    ],
)
async def test_a_wrong_setting_is_named(
    world: WebWorld, settings: dict[str, Any], credentials: dict[str, str], path: str
) -> None:
    with pytest.raises(Invalid) as caught:
        world.provider(credentials, **settings)
    assert caught.value.path == path
