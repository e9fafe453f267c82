"""Firebase, as its double and its errors have it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.audience.model import DeviceToken
from clarion.delivery.model import DeadToken
from clarion.kernel.errors import Invalid
from clarion.testing.clock import ManualClock
from clarion.testing.vendors.fcm import FOREIGN, UNREGISTERED
from clarion.testing.vendors.wire import DROP
from tests.integration.providers.push import ANDROID, NOW_MS, FcmWorld, opened, push, send_one

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
IPHONE = DeviceToken("ios", "ab" * 32)
BROWSER = DeviceToken("web", '{"endpoint":"https://push.example/1"}')


@pytest_asyncio.fixture
async def world() -> AsyncGenerator[FcmWorld]:
    async with opened(FcmWorld) as world:
        yield world


def error(status: int, word: str, code: str = "", field: str = "", **headers: str) -> HttpReply:
    details: list[dict[str, Any]] = []
    if code:
        details.append({"@type": FCM_ERROR, "errorCode": code})
    if field:
        details.append({"@type": BAD_REQUEST, "fieldViolations": [{"field": field}]})
    body = {"error": {"code": status, "message": "m", "status": word, "details": details}}
    return HttpReply(
        status, {name.replace("_", "-"): text for name, text in headers.items()}, msgspec.json.encode(body)
    )


async def test_a_message_has_all_that_it_says(world: FcmWorld) -> None:
    message = push(ANDROID, collapse_key="cart", priority=8, expires_ms=NOW_MS + 90_000)
    outcome = await send_one(world.provider(), message)
    assert outcome.kind == "sent"
    assert outcome.provider_message_id.startswith("projects/clarion-test/messages/")
    assert world.double.arrived[0] == {
        "token": ANDROID.token,
        "notification": {"title": "Hi", "body": "Hello"},
        "data": {"id": message.delivery_id.hex()},
        "android": {
            "priority": "NORMAL",
            "ttl": "90s",
            "collapseKey": "cart",
            "notification": {"tag": "cart"},
        },
        "apns": {
            "headers": {
                "apns-priority": "5",
                "apns-expiration": str(NOW_MS // 1000 + 90),
                "apns-collapse-id": "cart",
            }
        },
        "webpush": {"headers": {"Urgency": "low", "TTL": "90", "Topic": "cart"}},
    }


async def test_values_that_are_no_text_become_json(world: FcmWorld) -> None:
    await send_one(world.provider(), push(ANDROID, data={"count": 3, "items": [1, 2], "name": "Ada"}))
    assert world.double.arrived[0]["data"] == {"count": "3", "items": "[1,2]", "name": "Ada"}


async def test_every_device_of_the_service_gets_it_and_no_other(world: FcmWorld) -> None:
    tablet = DeviceToken("ios", "firebase:on-a-tablet")
    outcome = await send_one(world.provider(), push(ANDROID, IPHONE, tablet, BROWSER))
    assert outcome.kind == "sent"
    assert {message["token"] for message in world.double.arrived} == {ANDROID.token, tablet.token}


async def test_devices_of_other_services_are_refused_by_name(world: FcmWorld) -> None:
    outcome = await send_one(world.provider(), push(IPHONE, BROWSER))
    assert (outcome.kind, outcome.code) == ("permanent", "no_device")


async def test_a_message_is_sent_once_a_device_took_it_and_dead_ones_are_named(world: FcmWorld) -> None:
    dead = DeviceToken("android", f"{UNREGISTERED}:1")
    outcome = await send_one(world.provider(), push(dead, ANDROID))
    assert outcome.kind == "sent"
    assert list(outcome.dead_tokens) == [DeadToken(dead.token)]


async def test_a_message_to_dead_devices_alone_has_failed(world: FcmWorld) -> None:
    dead = [DeviceToken("android", f"{UNREGISTERED}:{i}") for i in range(2)]
    outcome = await send_one(world.provider(), push(*dead))
    assert (outcome.kind, outcome.code) == ("permanent", "unregistered")
    assert {token.token for token in outcome.dead_tokens} == {device.token for device in dead}


async def test_a_foreign_token_is_forgotten_only_by_an_account_that_works(world: FcmWorld) -> None:
    """A service account of the wrong project makes every token look so: it must not cost a tenant all of them."""
    foreign, provider = DeviceToken("android", f"{FOREIGN}:1"), world.provider()
    outcome = await send_one(provider, push(foreign))
    assert (outcome.kind, outcome.code, outcome.dead_tokens) == ("permanent", "sender_id_mismatch", ())
    await send_one(provider, push(ANDROID))
    assert [token.token for token in (await send_one(provider, push(foreign))).dead_tokens] == [foreign.token]


@pytest.mark.parametrize(
    ("reply", "kind", "code", "retry_after_s"),
    [
        (
            error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.android.ttl"),
            "permanent",
            "invalid_argument",
            0,
        ),
        (
            error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", retry_after="9"),
            "throttled",
            "quota_exceeded",
            9,
        ),
        (error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), "throttled", "quota_exceeded", 60),
        (error(503, "UNAVAILABLE", "UNAVAILABLE", retry_after="30"), "transient", "unavailable", 30),
        (error(500, "INTERNAL", "INTERNAL"), "transient", "internal", 0),
        (error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), "transient", "rcpt_third_party_auth", 0),
        (error(403, "PERMISSION_DENIED"), "transient", "auth", 0),
        (error(404, "NOT_FOUND"), "transient", "auth", 0),
        (error(400, "SOMETHING_NEW", "BRAND_NEW"), "permanent", "http_400", 0),
        (error(500, "SOMETHING_NEW", "BRAND_NEW"), "transient", "http_500", 0),
        (HttpReply(502, {}, b"<html><h1>Bad Gateway</h1></html>"), "transient", "http_502", 0),
        (HttpReply(504, {}, b""), "ambiguous", "http_504", 0),
        (HttpReply(302, {"location": "https://elsewhere.example"}, b""), "transient", "redirect", 0),
        (HttpReply(200, {}, b"<html>Welcome</html>"), "ambiguous", "unreadable_reply", 0),
        (HttpReply(200, {}, b"{}"), "ambiguous", "unreadable_reply", 0),
        (HttpReply(200, {}, error(500, "INTERNAL", "INTERNAL").body), "transient", "internal", 0),
        (HttpReply(200, {}, b"[" * 100_000), "ambiguous", "unreadable_reply", 0),
    ],
    ids=lambda value: f"{value.status}_{len(value.body)}" if isinstance(value, HttpReply) else str(value),
)
async def test_errors_mean_what_google_says(
    world: FcmWorld, reply: HttpReply, kind: str, code: str, retry_after_s: float
) -> None:
    world.server.script.append(reply)
    outcome = await send_one(world.provider(), push(ANDROID))
    assert (outcome.kind, outcome.code, outcome.retry_after_s) == (kind, code, retry_after_s)
    assert not outcome.dead_tokens


async def test_an_argument_that_is_the_token_is_a_dead_device(world: FcmWorld) -> None:
    world.server.script.append(error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token"))
    outcome = await send_one(world.provider(), push(ANDROID))
    assert [token.token for token in outcome.dead_tokens] == [ANDROID.token]


async def test_a_cut_connection_leaves_the_message_in_the_dark(world: FcmWorld) -> None:
    world.server.script.append("drop")
    assert (await send_one(world.provider(), push(ANDROID))).kind == "ambiguous"


async def test_what_may_have_arrived_on_one_device_counts_before_what_did_not_on_another(
    world: FcmWorld,
) -> None:
    """A repeat might show it twice there; that is for the category to decide."""
    provider = world.provider(concurrency=1)
    world.server.script.extend(["reset", error(503, "UNAVAILABLE", "UNAVAILABLE")])
    outcome = await send_one(provider, push(ANDROID, DeviceToken("android", "another:one")))
    assert outcome.kind == "ambiguous"


async def test_a_device_that_never_answers_does_not_take_the_verdict_of_another(world: FcmWorld) -> None:
    provider = world.provider(timeout_s=0.3, concurrency=1)
    world.server.script.append("hang")
    outcome = await send_one(provider, push(ANDROID, DeviceToken("android", "another:one")))
    assert outcome.kind == "ambiguous"
    provider = world.provider(timeout_s=0.3, concurrency=2)
    world.server.script.append("hang")
    both = push(ANDROID, DeviceToken("android", "another:one"))
    outcomes = await provider.send([both, push(ANDROID)])
    assert [outcome.kind for outcome in outcomes] == ["sent", "sent"]


async def test_a_message_that_is_too_large_is_refused_with_its_size(world: FcmWorld) -> None:
    outcome = await send_one(world.provider(), push(ANDROID, body="x" * 5000))
    assert (outcome.kind, outcome.code) == ("permanent", "too_large")
    assert "4096" in outcome.detail
    assert not world.server.requests


@pytest.mark.parametrize("name", ["from", "message_type", "google.id", "gcm.notification.x"])
async def test_names_that_google_keeps_for_itself_are_refused(world: FcmWorld, name: str) -> None:
    outcome = await send_one(world.provider(), push(ANDROID, data={name: "x"}))
    assert (outcome.kind, outcome.code) == ("permanent", "reserved_data")
    assert name in outcome.detail


async def test_content_of_other_channels_is_refused(world: FcmWorld) -> None:
    outcome = await send_one(world.provider(), push(ANDROID, html="<p>"))
    assert outcome.code == "unsupported_content"


async def test_one_token_serves_until_shortly_before_it_ends(world: FcmWorld) -> None:
    assert isinstance(world.clock, ManualClock)
    provider = world.provider()
    await provider.send([push(ANDROID) for _ in range(20)])
    world.clock.advance(3200)
    await send_one(provider, push(ANDROID))
    assert world.grants.taken == 1
    world.clock.advance(101)
    await send_one(provider, push(ANDROID))
    assert world.grants.taken == 2


async def test_a_revoked_token_is_replaced_once_and_nothing_is_lost(world: FcmWorld) -> None:
    provider = world.provider()
    await send_one(provider, push(ANDROID))
    world.double.tokens.clear()
    outcomes = await provider.send([push(ANDROID) for _ in range(20)])
    assert {outcome.kind for outcome in outcomes} == {"sent"}
    assert world.grants.taken == 2


async def test_a_refused_service_account_stops_the_account_and_keeps_messages(world: FcmWorld) -> None:
    world.token_server.script.append(HttpReply(400, {}, b'{"error":"invalid_grant"}'))
    outcome = await send_one(world.provider(), push(ANDROID))
    assert (outcome.kind, outcome.code) == ("transient", "auth")
    assert "invalid_grant" in outcome.detail
    assert not world.server.requests


@pytest.mark.parametrize(
    "step", [DROP, HttpReply(503, {}, b""), HttpReply(200, {}, b"<html>")], ids=["drop", "503", "html"]
)
async def test_without_a_token_no_message_has_left(world: FcmWorld, step: Any) -> None:
    world.token_server.script.append(step)
    provider = world.provider()
    outcome = await send_one(provider, push(ANDROID))
    assert (outcome.kind, outcome.code) == ("transient", "token_unavailable")
    assert (await send_one(provider, push(ANDROID))).kind == "sent"


@pytest.mark.parametrize(
    ("settings", "credentials", "path"),
    [
        ({"base_url": "http://fcm.example"}, {}, "settings.base_url"),
        ({"base_url": "https://user@fcm.example"}, {}, "settings.base_url"),
        ({"project_id": "a/b"}, {}, "settings.project_id"),
        ({"concurrency": 0}, {}, "settings.concurrency"),
        ({"speed": 1}, {}, "settings.speed"),
        ({}, {"service_account": "{}"}, "credentials.service_account.client_email"),
        ({}, {"service_account": "nonsense"}, "credentials.service_account"),
        ({}, {"server_key": "AAAA"}, "credentials.server_key"),
    ],
)
async def test_a_wrong_setting_is_named(
    world: FcmWorld, settings: dict[str, Any], credentials: dict[str, str], path: str
) -> None:
    with pytest.raises(Invalid) as caught:
        world.provider(credentials, **settings)
    assert caught.value.path == path


async def test_a_key_that_is_none_is_named(world: FcmWorld) -> None:
    file = msgspec.json.decode(world.account()[1]["service_account"])
    file["private_key"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    with pytest.raises(Invalid) as caught:
        world.provider({"service_account": msgspec.json.encode(file).decode()})
    assert caught.value.path == "credentials.service_account.private_key"
