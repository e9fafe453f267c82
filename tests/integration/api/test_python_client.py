"""The Python client against the real API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from clarion.client import (
    BroadcastRequest,
    Clarion,
    ConsentRequest,
    DeviceToken,
    Event,
    InvalidRequest,
    ItemRefused,
    NotFound,
    NotificationRequest,
    Optimization,
    RedriveFilter,
    RedriveRequest,
    StateConflict,
    Unauthenticated,
    User,
)
from clarion.client.api import LetterQuery, NotificationQuery
from clarion.kernel.ids import format_id
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAID = {"subject": "Hello", "body": "Hello Ada"}
LATER = Optimization(send_time="optimal")


@pytest_asyncio.fixture(loop_scope="session")
async def clarion(api: Api, caller: Caller) -> AsyncGenerator[Clarion]:
    async with Clarion(f"http://127.0.0.1:{api.port}", caller.key) as client:
        yield client


def hello(user_id: str = "ada") -> NotificationRequest:
    return NotificationRequest(user_id, "transactional", data=SAID)


async def test_it_says_whose_key_it_is(clarion: Clarion, caller: Caller):
    assert (await clarion.me()).tenant_id == format_id(caller.tenant_id)


async def test_a_user_is_written_read_and_forgotten(clarion: Clarion):
    profile = User(
        email="ada@example.com",
        timezone="Europe/London",
        attributes={"first_name": "Ada"},
        device_tokens=[DeviceToken("android", "token-of-ada")],
    )

    written = await clarion.users.put("ada", profile)

    assert (written.user_id, written.email, written.attributes) == ("ada", profile.email, profile.attributes)
    assert await clarion.users.get("ada") == written
    await clarion.users.delete("ada")
    with pytest.raises(NotFound):
        await clarion.users.get("ada")


async def test_many_users_are_written_and_a_wrong_one_is_told(clarion: Clarion):
    results = await clarion.users.put_many(
        [User(user_id="ada", email="ada@example.com"), User(user_id="bob", email="nonsense")]
    )

    assert results[0].error is None
    assert results[1].error is not None


async def test_a_notification_is_sent_found_explained_and_listed(clarion: Clarion):
    await clarion.users.put("ada", User(email="ada@example.com"))

    told = await clarion.notifications.send(hello())

    found = await clarion.notifications.get(told.notification_id)
    assert (found.user_id, found.deliveries[0].channel) == ("ada", "email")
    trace = await clarion.notifications.trace(told.notification_id)
    assert trace["decision"]
    listed = [one async for one in clarion.notifications.list(NotificationQuery(user_id="ada", limit=1))]
    assert [one.notification_id for one in listed] == [told.notification_id]


async def test_a_key_of_ones_own_makes_a_repeat_harmless(clarion: Clarion):
    await clarion.users.put("ada", User(email="ada@example.com"))

    first = await clarion.notifications.send(hello(), key="order-1815")
    second = await clarion.notifications.send(hello(), key="order-1815")
    with pytest.raises(InvalidRequest) as caught:
        await clarion.notifications.send(hello("bob"), key="order-1815")

    assert second.notification_id == first.notification_id
    assert caught.value.kind == "key-mismatch"


async def test_what_waits_can_be_cancelled_once(clarion: Clarion):
    await clarion.users.put("ada", User(email="ada@example.com"))
    told = await clarion.notifications.send(hello())

    cancelled = await clarion.notifications.cancel(told.notification_id)

    assert [one.channel for one in cancelled.cancelled] == ["email"]
    with pytest.raises(StateConflict):
        await clarion.notifications.cancel(told.notification_id)


async def test_a_hundred_concurrent_sends_arrive(clarion: Clarion):
    await clarion.users.put_many([User(user_id=f"u-{i}", email=f"u-{i}@example.com") for i in range(99)])
    batcher = clarion.notifications.batcher(limit=40)

    told = await asyncio.gather(*(batcher.send(hello(f"u-{i}")) for i in range(100)), return_exceptions=True)

    assert len({one.notification_id for one in told if not isinstance(one, BaseException)}) == 99
    (refused,) = [one for one in told if isinstance(one, BaseException)]
    assert isinstance(refused, ItemRefused)


async def test_consent_and_context_are_recorded(clarion: Clarion):
    await clarion.users.put("ada", User(email="ada@example.com"))

    await clarion.users.record_consent(ConsentRequest("ada", "email", "marketing", True, "form"))  # noqa: FBT003  the contract's order
    await clarion.users.set_context("ada", {"cart": 3})

    (consent,) = (await clarion.users.consent("ada")).consents
    assert (consent["category"], consent["consented"]) == ("marketing", True)


async def test_events_and_segments_are_recorded(clarion: Clarion):
    await clarion.users.put("ada", User(email="ada@example.com", country="GB"))

    recorded, refused = await clarion.users.record_events([Event("ada", "login"), Event("nobody", "login")])
    written = await clarion.segments.put("british", "user.country == 'GB'", "those at home")

    assert recorded.error is None
    assert refused.error is not None
    assert await clarion.segments.get("british") == written
    assert [one.name for one in (await clarion.segments.page()).segments] == ["british"]


async def test_a_broadcast_is_tried_dry(clarion: Clarion):
    await clarion.users.put("ada", User(email="ada@example.com"))
    wanted = BroadcastRequest(category="transactional", user_ids=["ada"], data=SAID, dry_run=True)

    started = await clarion.broadcasts.start(wanted)

    assert (await clarion.broadcasts.get(started.broadcast_id)).dry_run
    page = await clarion.broadcasts.page()
    assert [one.broadcast_id for one in page.broadcasts] == [started.broadcast_id]


async def test_dead_letters_are_asked_for(clarion: Clarion):
    assert (await clarion.dead_letters.page(LetterQuery())).dead_letters == []
    assert (await clarion.dead_letters.redrive(RedriveRequest(filter=RedriveFilter()))).redriven == 0
    with pytest.raises(NotFound):
        await clarion.dead_letters.get("00000000-0000-0000-0000-000000000000")


async def test_templates_are_listed_and_previewed(clarion: Clarion, caller: Caller):
    parts = {"email": {"subject": "Hello {{ name }}", "text": "Hello {{ name }}"}}
    await caller.call("PUT /templates/greeting", {"category": "service", "channels": parts})

    assert [one["name"] for one in await clarion.templates.list()] == ["greeting"]
    assert (await clarion.templates.get("greeting"))["version"] == 1
    shown = await clarion.templates.preview("greeting", data={"name": "Ada"})
    assert "Hello Ada" in str(shown["channels"]["email"])


async def test_a_wrong_key_is_told(api: Api):
    async with Clarion(f"http://127.0.0.1:{api.port}", "nonsense") as client:
        with pytest.raises(Unauthenticated):
            await client.me()
