"""Apple's service, as its double and its reasons have it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.audience.model import DeviceToken
from clarion.delivery.model import DeadToken
from clarion.kernel.errors import Invalid
from clarion.testing.clock import ManualClock
from clarion.testing.vendors.apns import TOPIC, ApnsDouble, Reason
from tests.integration.providers.push import ANDROID, NOW_MS, ApnsWorld, opened, push, send_one

OTHER_APP = DeviceToken("ios", "ab" * 32)


@pytest_asyncio.fixture
async def world() -> AsyncGenerator[ApnsWorld]:
    async with opened(ApnsWorld) as world:
        yield world


async def test_a_message_has_all_that_it_says(world: ApnsWorld) -> None:
    device = world.device()
    message = push(device, collapse_key="cart", priority=8, expires_ms=NOW_MS + 90_000)
    outcome = await send_one(world.provider(), message)
    assert outcome.kind == "sent"
    assert UUID(outcome.provider_message_id).bytes == message.delivery_id
    arrived = world.double.arrived[0]
    assert arrived["payload"] == {
        "aps": {"alert": {"title": "Hi", "body": "Hello"}, "sound": "default"},
        "id": message.delivery_id.hex(),
    }
    said = {name: text for name, text in arrived["headers"].items() if name.startswith("apns-")}
    assert said == {
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-id": outcome.provider_message_id,
        "apns-priority": "5",
        "apns-expiration": str(NOW_MS // 1000 + 90),
        "apns-collapse-id": "cart",
    }


async def test_each_device_has_an_id_of_its_own_which_stays(world: ApnsWorld) -> None:
    message = push(world.device(), world.device(), ANDROID)
    provider = world.provider(sound="")
    for _ in range(2):
        assert (await send_one(provider, message)).kind == "sent"
    ids = [arrived["headers"]["apns-id"] for arrived in world.double.arrived]
    assert len(ids) == 4
    assert len(set(ids)) == 2
    assert "sound" not in world.double.arrived[0]["payload"]["aps"]


async def test_one_connection_carries_all(world: ApnsWorld) -> None:
    provider = world.provider()
    outcomes = await provider.send([push(world.device()) for _ in range(100)])
    assert {outcome.kind for outcome in outcomes} == {"sent"}
    assert world.server.connections == 1
    assert len(world.double.provider_tokens) == 1


async def test_a_dead_device_is_named_with_its_time(world: ApnsWorld) -> None:
    dead = world.device()
    world.double.gone[dead.token] = NOW_MS - 5000
    outcome = await send_one(world.provider(), push(dead))
    assert (outcome.kind, outcome.code) == ("permanent", "unregistered")
    assert list(outcome.dead_tokens) == [DeadToken(dead.token, NOW_MS - 5000)]


async def test_a_token_of_another_app_is_forgotten_only_by_an_account_that_works(world: ApnsWorld) -> None:
    provider = world.provider()
    outcome = await send_one(provider, push(OTHER_APP))
    assert (outcome.kind, outcome.code) == ("permanent", "device_token_not_for_topic")
    assert not outcome.dead_tokens
    outcome = await send_one(provider, push(world.device(), OTHER_APP))
    assert outcome.kind == "sent"
    assert list((await send_one(provider, push(OTHER_APP))).dead_tokens) == [DeadToken(OTHER_APP.token)]


async def test_a_wrong_topic_costs_no_device(world: ApnsWorld) -> None:
    """`sandbox` for `production`, or another app's topic, makes every token look bad."""
    world.double.always = (400, "BadDeviceToken")
    outcomes = await world.provider().send([push(world.device()) for _ in range(50)])
    assert {outcome.code for outcome in outcomes} == {"bad_device_token"}
    assert not any(outcome.dead_tokens for outcome in outcomes)


@pytest.mark.parametrize(
    ("reason", "kind", "code", "retry_after_s"),
    [
        ((410, "ExpiredToken"), "permanent", "expired_token", 0),
        ((403, "InvalidProviderToken"), "transient", "auth", 0),
        ((403, "MissingProviderToken"), "transient", "auth", 0),
        ((403, "BadCertificateEnvironment"), "transient", "auth", 0),
        ((403, "ExpiredProviderToken"), "transient", "auth", 0),
        ((400, "TopicDisallowed"), "transient", "auth", 0),
        ((400, "MissingTopic"), "transient", "auth", 0),
        ((429, "TooManyRequests"), "throttled", "rcpt_too_many_requests", 0),
        ((429, "TooManyProviderTokenUpdates"), "throttled", "too_many_tokens", 1200),
        ((500, "InternalServerError"), "transient", "internal", 0),
        ((503, "ServiceUnavailable"), "transient", "unavailable", 0),
        ((503, "Shutdown"), "transient", "shutdown", 0),
        ((400, "IdleTimeout"), "transient", "idle_timeout", 0),
        ((413, "PayloadTooLarge"), "permanent", "too_large", 0),
        ((400, "BadCollapseId"), "permanent", "http_400", 0),
        ((400, "BrandNewReason"), "permanent", "http_400", 0),
        ((404, "BadPath"), "permanent", "http_404", 0),
        ((405, "MethodNotAllowed"), "permanent", "http_405", 0),
    ],
    ids=str,
)
async def test_reasons_mean_what_apple_says(
    world: ApnsWorld, reason: Reason, kind: str, code: str, retry_after_s: float
) -> None:
    world.double.always = reason
    outcome = await send_one(world.provider(), push(world.device()))
    assert (outcome.kind, outcome.code, outcome.retry_after_s) == (kind, code, retry_after_s)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (HttpReply(502, {}, b"<html>"), "transient"),
        (HttpReply(504, {}, b""), "ambiguous"),
        (HttpReply(301, {"location": "https://elsewhere.example"}, b""), "transient"),
        ("drop", "ambiguous"),
        ("reset", "ambiguous"),
    ],
    ids=["html", "gateway", "redirect", "drop", "reset"],
)
async def test_what_is_no_answer_of_apple(world: ApnsWorld, step: Any, kind: str) -> None:
    world.server.script.append(step)
    assert (await send_one(world.provider(), push(world.device()))).kind == kind


async def test_an_orderly_leave_loses_nothing(world: ApnsWorld) -> None:
    """Apple ends connections with GOAWAY when it renews a server; what it did not look at goes over the next one."""
    provider = world.provider()
    await send_one(provider, push(world.device()))
    world.server.script.append("goaway")
    outcome = await send_one(provider, push(world.device()))
    assert outcome.kind in {"sent", "transient"}


async def test_a_new_token_begins_every_forty_minutes(world: ApnsWorld) -> None:
    assert isinstance(world.clock, ManualClock)
    provider, device = world.provider(), world.device()
    world.clock.advance(2400 - (NOW_MS // 1000 - 60) % 2400)
    for _ in range(12):
        assert (await send_one(provider, push(device))).kind == "sent"
        world.clock.advance(600)
    assert len(world.double.provider_tokens) == 3


async def test_a_clock_that_is_wrong_costs_a_second_call_and_no_message(world: ApnsWorld) -> None:
    assert isinstance(world.clock, ManualClock)
    behind = ManualClock(NOW_MS)
    other = ApnsDouble(world.clock)
    world.server.double = other
    other.devices = world.double.devices
    world.clock.advance(20 * 60)
    world.clock = behind
    provider = world.provider(other.credentials())
    # Ours is 20 minutes behind Apple's, and its token claims to be from up to 41 minutes before that.
    behind.advance(2400 - (NOW_MS // 1000 - 60) % 2400 + 2300)
    outcomes = await provider.send([push(world.device()) for _ in range(10)])
    assert {outcome.kind for outcome in outcomes} == {"sent"}


async def test_a_message_that_is_too_large_is_refused_with_its_size(world: ApnsWorld) -> None:
    outcome = await send_one(world.provider(), push(world.device(), body="x" * 5000))
    assert (outcome.kind, outcome.code) == ("permanent", "too_large")
    assert "4096" in outcome.detail
    assert not world.server.requests


async def test_the_name_that_apple_keeps_for_itself_is_refused(world: ApnsWorld) -> None:
    outcome = await send_one(world.provider(), push(world.device(), data={"aps": {"badge": 1}}))
    assert (outcome.kind, outcome.code) == ("permanent", "reserved_data")


@pytest.mark.parametrize(
    ("settings", "credentials", "path"),
    [
        ({"topic": "a b"}, {}, "settings.topic"),
        ({"environment": "staging"}, {}, "settings.environment"),
        ({"base_url": "http://apns.example"}, {}, "settings.base_url"),
        ({}, {"key": "nonsense"}, "credentials.key"),
        ({}, {"key_id": "short"}, "credentials.key_id"),
        ({}, {"team_id": "lower12345"}, "credentials.team_id"),
        ({}, {"password": "x"}, "credentials.password"),
    ],
)
async def test_a_wrong_setting_is_named(
    world: ApnsWorld, settings: dict[str, Any], credentials: dict[str, str], path: str
) -> None:
    with pytest.raises(Invalid) as caught:
        world.provider(credentials, **settings)
    assert caught.value.path == path
