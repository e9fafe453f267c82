"""Devices and preferences: what a user's app sets for her, one thing at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clarion.adapters.postgres.deliveries import PostgresDeliveryStore
from clarion.audience.devices import STALE_DAYS
from clarion.compliance.rules import Rule
from clarion.contracts.work import WorkItem
from clarion.entrypoints.workers.sweeper import forget_devices
from clarion.tenancy.model import QuietHours
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"platform": "ios", "token": "phone-token"}
TABLET = {"platform": "android", "token": "tablet/token?with=signs"}


async def devices(caller: Caller, user: str = "ada") -> list[tuple[str, str]]:
    answer = await caller.call(f"GET /users/{user}/devices")
    assert answer.status == 200, answer.body
    return [(device["platform"], device["token"]) for device in answer.json()["devices"]]


async def register(caller: Caller, device: dict[str, Any], user: str = "ada") -> dict[str, Any]:
    answer = await caller.call(f"PUT /users/{user}/devices", device)
    assert answer.status in {200, 201}, answer.body
    return answer.json()


async def channels_of(caller: Caller, **fields: Any) -> list[str]:
    """The channels that a notification over all channels goes to."""
    wanted = {"channel_selection": "all"}
    answer = await caller.notify(
        data={"subject": "Hi", "title": "Hi", "body": "Hi"}, optimization=wanted, **fields
    )
    return answer["channels"]


async def test_a_device_is_registered_seen_again_and_removed(caller: Caller):
    await caller.user()
    first = await caller.call("PUT /users/ada/devices", PHONE)
    await register(caller, TABLET)
    again = await caller.call("PUT /users/ada/devices", PHONE)

    assert (first.status, again.status) == (201, 200)
    assert again.json()["device_id"] == first.json()["device_id"]
    assert again.json()["last_seen"] >= first.json()["last_seen"]
    assert await devices(caller) == [("ios", "phone-token"), ("android", "tablet/token?with=signs")]

    gone = await caller.call(f"DELETE /users/ada/devices/{first.json()['device_id']}")
    assert gone.status == 204
    assert await devices(caller) == [("android", "tablet/token?with=signs")]
    assert (await caller.call(f"DELETE /users/ada/devices/{first.json()['device_id']}")).status == 404


async def test_a_device_makes_push_possible_and_its_end_impossible(caller: Caller):
    await caller.user()
    assert await channels_of(caller) == ["email"]
    device = await register(caller, PHONE)
    assert await channels_of(caller) == ["email", "push"]
    await caller.call(f"DELETE /users/ada/devices/{device['device_id']}")
    assert await channels_of(caller) == ["email"]


async def test_a_token_belongs_to_who_registered_it_last(caller: Caller):
    await caller.user("ada")
    await caller.user("bob")
    await register(caller, PHONE, "ada")
    await register(caller, PHONE, "bob")

    assert (await devices(caller, "ada"), await devices(caller, "bob")) == ([], [("ios", "phone-token")])
    assert await channels_of(caller, user_id="ada") == ["email"]
    assert await channels_of(caller, user_id="bob") == ["email", "push"]


async def test_a_profile_takes_a_token_from_whoever_had_it(caller: Caller):
    await caller.user("ada", device_tokens=[PHONE])
    assert await channels_of(caller, user_id="ada") == ["email", "push"]
    await caller.user("bob", device_tokens=[PHONE])
    assert await devices(caller, "ada") == []
    assert await channels_of(caller, user_id="ada") == ["email"]
    assert await channels_of(caller, user_id="bob") == ["email", "push"]


async def test_a_token_of_another_tenant_is_another_token(caller: Caller, other: Caller):
    await caller.user()
    await other.user()
    mine, theirs = await register(caller, PHONE), await register(other, PHONE)
    assert mine["device_id"] != theirs["device_id"]
    assert (await other.call(f"DELETE /users/ada/devices/{mine['device_id']}")).status == 404
    assert await devices(caller) == [("ios", "phone-token")]


async def test_two_who_register_one_token_at_once_leave_it_with_one(caller: Caller):
    names = [f"user-{i}" for i in range(6)]
    for name in names:
        await caller.user(name)
    await asyncio.gather(*(register(caller, PHONE, name) for name in names * 2))
    owners = [name for name in names if await devices(caller, name)]
    assert len(owners) == 1
    reached = [name for name in names if "push" in await channels_of(caller, user_id=name)]
    assert reached == owners


async def test_a_profile_lists_all_devices_and_replaces_those_it_knows(caller: Caller):
    await caller.user(device_tokens=[TABLET])
    await register(caller, PHONE)
    shown = (await caller.call("GET /users/ada")).json()
    assert shown["device_tokens"] == [PHONE, TABLET]

    await caller.user()  # says nothing of devices
    assert await devices(caller) == [("ios", "phone-token")], "what came with the profile goes with it"
    await caller.user(device_tokens=[TABLET])
    assert await devices(caller) == [("android", TABLET["token"])], "a list is the whole list"
    await caller.user(device_tokens=[])
    assert await devices(caller) == []
    assert await channels_of(caller) == ["email"]


async def test_the_same_profile_counts_again_after_a_device_came_in_between(caller: Caller):
    await caller.user(device_tokens=[TABLET])
    await register(caller, PHONE)
    await caller.user(device_tokens=[TABLET])
    assert await devices(caller) == [("android", TABLET["token"])]


async def test_of_many_devices_those_seen_last_stay(caller: Caller):
    tokens = [{"platform": "web", "token": f"t{i}"} for i in range(50)]
    await caller.user(device_tokens=tokens)
    await register(caller, PHONE)
    kept = await devices(caller)
    assert len(kept) == 50
    assert kept[0] == ("ios", "phone-token")
    assert ("web", "t49") not in kept


async def test_nobody_has_no_devices_and_no_preferences(caller: Caller):
    for line, body in (
        ("GET /users/nobody/devices", None),
        ("PUT /users/nobody/devices", PHONE),
        ("DELETE /users/nobody/devices/00", None),
        ("GET /users/nobody/preferences", None),
        ("PUT /users/nobody/preferences", {}),
    ):
        assert (await caller.call(line, body)).status == 404, line


async def test_a_device_is_refused_with_the_path_of_what_is_wrong(caller: Caller):
    await caller.user()
    for device, path in (
        ({"platform": "fax", "token": "t"}, "platform"),
        ({"platform": "ios", "token": ""}, "token"),
        ({"platform": "ios", "token": "a\0b"}, "token"),
        ({"platform": "ios"}, "token"),
    ):
        answer = await caller.call("PUT /users/ada/devices", device)
        assert (answer.status, answer.json()["errors"][0]["path"]) == (400, path)


async def test_a_deleted_users_token_is_free(caller: Caller):
    await caller.user("ada", device_tokens=[PHONE])
    await caller.call("DELETE /users/ada")
    await caller.user("ada")
    assert await devices(caller) == []


async def test_what_a_user_chose_is_kept_shown_and_kept_from_her_profile(caller: Caller):
    await caller.user()
    chosen = {"preferences": {"service": ["email"]}, "quiet_hours": {"start": "21:30", "end": "07:00"}}
    assert (await caller.call("PUT /users/ada/preferences", chosen)).json() == chosen
    await caller.user(language="en")
    assert (await caller.call("GET /users/ada/preferences")).json() == chosen
    profile = (await caller.call("GET /users/ada")).json()
    assert {name: profile[name] for name in chosen} == chosen
    assert (await caller.call("PUT /users/ada/preferences", {})).json() == {
        "preferences": {},
        "quiet_hours": None,
    }


async def test_preferences_are_asked_when_deciding_and_again_before_the_call(api: Api, caller: Caller):
    await caller.user()
    sent = await caller.notify(category="service")
    await caller.call(
        "PUT /users/ada/preferences",
        {"preferences": {"service": ["email"]}, "quiet_hours": {"start": "00:00", "end": "23:59"}},
    )

    answer = await caller.notify(category="service")
    assert (answer["status"], answer["reasons"][0]["rule"]) == ("blocked", Rule.PREFERENCE)

    store = PostgresDeliveryStore(api.gateway.region.pools)
    delivery = (await caller.call(f"GET /notifications/{sent['notification_id']}")).json()["deliveries"][0]
    ident = bytes.fromhex(delivery["delivery_id"].replace("-", ""))
    (job,) = await store.load([WorkItem(ident, caller.tenant_id, "email", 5, 0)])
    assert job.preferences == {"service": 0b001}
    assert job.quiet_hours == QuietHours(0, 23 * 60 + 59)


async def test_a_push_is_composed_with_every_device_of_its_user(api: Api, caller: Caller):
    await caller.user(device_tokens=[TABLET])
    await register(caller, PHONE)
    sent = await caller.notify(
        data={"title": "Hi", "body": "Hi"},
        optimization={"channel_selection": "specified", "channels": ["push"]},
    )
    region = api.gateway.region
    delivery = (await caller.call(f"GET /notifications/{sent['notification_id']}")).json()["deliveries"][0]
    ident = bytes.fromhex(delivery["delivery_id"].replace("-", ""))
    (job,) = await PostgresDeliveryStore(region.pools).load([WorkItem(ident, caller.tenant_id, "push", 5, 0)])
    opened = await region.seals.open_devices(caller.tenant_id, job.user_id, job.devices)
    assert [device and device.token for device in opened] == [PHONE["token"], TABLET["token"]]


async def test_users_are_listed_page_by_page(caller: Caller, other: Caller):
    await other.user("stranger")
    names = [f"user-{i}" for i in range(5)]
    for name in names:
        await caller.user(name)
    found: list[str] = []
    cursor = ""
    while True:
        page = (await caller.call(f"GET /users?limit=2&cursor={cursor}")).json()
        found += [user["user_id"] for user in page["users"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert found == names
    assert (await caller.call("GET /users?cursor=zz")).status == 400


async def test_stale_devices_are_forgotten_unless_they_came_with_a_profile(api: Api, caller: Caller):
    await caller.user("ada")
    await register(caller, PHONE, "ada")
    await caller.user("bob", device_tokens=[TABLET])
    assert await channels_of(caller) == ["email", "push"]
    region = api.gateway.region
    async with region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE user_devices SET last_seen = now() - $2 * interval '1 day' WHERE tenant_id = $1",
            caller.tenant_id,
            STALE_DAYS + 1,
        )

    await forget_devices(region)

    assert await channels_of(caller) == ["email"]
    assert (await devices(caller, "ada"), await devices(caller, "bob")) == (
        [],
        [("android", TABLET["token"])],
    )
