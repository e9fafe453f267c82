"""Users on the real stores: written by the batch, read in clear by their tenant, gone when deleted."""

from __future__ import annotations

import asyncio

import pytest

from clarion.adapters.postgres.users import SEQUENCE_BITS
from clarion.audience.model import DeviceToken
from clarion.audience.profile import DailyWindow, UserItem, UserProfile
from clarion.audience.users import Upserted, delete_user
from clarion.compliance.jurisdictions import Whereabouts
from clarion.kernel.errors import Invalid, NotFound
from clarion.tenancy.model import QuietHours
from tests.integration.postgres.support import Tenant, World

ADA = UserProfile(
    email="Ada@EXAMPLE.com",
    phone="0170 1234567",
    device_tokens=[DeviceToken("ios", "token-1"), DeviceToken("ios", "token-1")],
    timezone="Europe/Berlin",
    language="de",
    country="de",
    region="BE",
    preferred_channel="push",
    attributes={"first_name": "Ada", "orders": 12, "tags": ["a", {"b": None}]},
    preferences={"marketing": ["sms"], "*": ["email", "push"]},
    quiet_hours=DailyWindow("21:30", "07:00"),
)


def done(result: object) -> Upserted:
    assert isinstance(result, Upserted), result
    return result


async def test_what_a_tenant_wrote_comes_back_normalised(tenant: Tenant):
    await tenant.upsert(("ada", ADA))
    assert await tenant.read("ada") == UserItem(
        user_id="ada",
        email="Ada@example.com",
        phone="+491701234567",
        device_tokens=[DeviceToken("ios", "token-1")],
        timezone="Europe/Berlin",
        language="de",
        country="DE",
        region="BE",
        preferred_channel="push",
        attributes={"first_name": "Ada", "orders": 12, "tags": ["a", {"b": None}]},
        preferences={"marketing": ["sms"], "*": ["email", "push"]},
        quiet_hours=DailyWindow("21:30", "07:00"),
    )


async def test_a_profile_is_replaced_as_a_whole_but_for_what_the_user_chose(tenant: Tenant):
    await tenant.upsert(("ada", ADA))
    await tenant.upsert(("ada", UserProfile(email="ada@example.org")))
    assert await tenant.read("ada") == UserItem(
        user_id="ada",
        email="ada@example.org",
        device_tokens=[],
        preferences={"marketing": ["sms"], "*": ["email", "push"]},
        quiet_hours=DailyWindow("21:30", "07:00"),
    )


async def test_what_the_user_chose_is_replaced_where_the_profile_says_so(tenant: Tenant):
    await tenant.upsert(("ada", ADA))
    await tenant.upsert(("ada", UserProfile(preferences={}, quiet_hours=None)))
    ada = await tenant.read("ada")
    assert (ada.preferences, ada.quiet_hours) == ({}, None)


async def test_user_ids_carry_their_region(tenant: Tenant):
    assert await tenant.user() >> SEQUENCE_BITS == 1


async def test_of_a_thousand_with_three_bad_the_others_are_stored(tenant: Tenant):
    items = [(f"u{i}", UserProfile(email=f"u{i}@example.com")) for i in range(1000)]
    items[17] = ("u17", UserProfile(email="not an address"))
    items[500] = ("nul\0", UserProfile())
    items[999] = ("u999", UserProfile(attributes={"a": [{"b": "half \ud800 pair"}]}))
    results = await tenant.upsert(*items)
    bad = {i: result for i, result in enumerate(results) if not isinstance(result, Upserted)}
    assert {i: error.path for i, error in bad.items() if isinstance(error, Invalid)} == {
        17: "email",
        500: "user_id",
        999: "attributes.a[0].b",
    }
    ids = await tenant.world.users.find_ids(
        tenant.id, [external_id for external_id, _ in items if external_id.isalnum()]
    )
    assert len(ids) == len(set(ids.values())) == 997


async def test_writing_the_same_again_changes_nothing(tenant: Tenant):
    created = done((await tenant.upsert(("ada", ADA)))[0])
    assert (created.change, created.version) == ("created", 1)
    same = done((await tenant.upsert(("ada", ADA)))[0])
    assert (same.change, same.version, same.user_id) == ("unchanged", 1, created.user_id)
    other = done((await tenant.upsert(("ada", UserProfile(email="ada@example.com"))))[0])
    assert (other.change, other.version, other.user_id) == ("updated", 2, created.user_id)


async def test_of_two_with_one_id_the_later_counts_and_both_answer_for_it(tenant: Tenant):
    first, last = UserProfile(email="first@example.com"), UserProfile(email="last@example.com")
    results = await tenant.upsert(("ada", first), ("bob", first), ("ada", last))
    assert results[0] == results[2]
    assert (await tenant.read("ada")).email == "last@example.com"


async def test_two_writers_of_one_new_user_make_one_user(tenant: Tenant):
    """Each allots a user id and a data key; whoever comes second has to give both up."""
    profiles = [UserProfile(email=f"ada{i}@example.com") for i in range(8)]
    results = await asyncio.gather(*(tenant.upsert(("ada", profile)) for profile in profiles))
    assert len({done(result[0]).user_id for result in results}) == 1
    assert sum(done(result[0]).change == "created" for result in results) == 1
    assert max(done(result[0]).version for result in results) == 8
    assert (await tenant.read("ada")).email in {profile.email for profile in profiles}


async def test_batches_with_the_same_users_in_turn_do_not_block_each_other(tenant: Tenant):
    names = [f"u{i:03d}" for i in range(200)]

    async def write(order: list[str], email: str) -> None:
        for result in await tenant.upsert(*((name, UserProfile(email=email)) for name in order)):
            done(result)

    for turn in range(3):
        await asyncio.gather(
            write(names, f"a{turn}@example.com"),
            write(names[::-1], f"b{turn}@example.com"),
            write(names[100:] + names[:100], f"c{turn}@example.com"),
        )


async def test_a_deleted_user_is_gone_with_her_key(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    sealed = await tenant.sealed("ada")
    assert await delete_user(tenant.id, "ada", world.users, world.keyring) == user_id
    with pytest.raises(NotFound):
        await tenant.read("ada")
    with pytest.raises(NotFound):
        await delete_user(tenant.id, "ada", world.users, world.keyring)
    assert await world.subject_keys.fetch([user_id]) == {}
    assert await world.seals.open_profiles([sealed]) == [None]
    assert await world.users.read_cards(tenant.id, ["ada"]) == [None]


async def test_a_deleted_user_can_be_written_anew_as_somebody_else(world: World, tenant: Tenant):
    before = await tenant.user("ada")
    await delete_user(tenant.id, "ada", world.users, world.keyring)
    assert await tenant.user("ada") != before


async def test_after_a_crash_between_key_and_row_deleting_again_finishes(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    await world.subject_keys.destroy([user_id])
    world.watch.seconds += 120  # past what other processes remember
    with pytest.raises(NotFound):
        await tenant.read("ada")
    await delete_user(tenant.id, "ada", world.users, world.keyring)
    assert await world.users.find_ids(tenant.id, ["ada"]) == {}


async def test_after_a_crash_between_key_and_row_writing_again_heals(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    await world.subject_keys.destroy([user_id])  # and this process still remembers the key
    await tenant.user("ada", UserProfile(email="new@example.com"))
    world.watch.seconds += 120
    assert (await tenant.read("ada")).email == "new@example.com"


async def test_cards_tell_what_decisions_need_and_no_address(world: World, tenant: Tenant):
    await tenant.upsert(("ada", ADA), ("bob", UserProfile()))
    ada, nobody, bob = await world.users.read_cards(tenant.id, ["ada", "nobody", "bob"])
    assert nobody is None
    assert ada is not None
    assert bob is not None
    assert (ada.external_id, ada.version, ada.timezone, ada.language) == ("ada", 1, "Europe/Berlin", "de")
    assert (ada.country, ada.preferred_channel, ada.reachable) == ("DE", "push", 0b111)
    assert ada.preferences == {"marketing": 0b100, "*": 0b011}
    assert ada.quiet_hours == QuietHours(21 * 60 + 30, 7 * 60)
    assert ada.whereabouts == Whereabouts("DE", "BE", "Europe/Berlin", "DE", ("Europe/Berlin",))
    assert (bob.reachable, bob.timezone, bob.preferences, bob.quiet_hours) == (0, "", {}, None)
    assert bob.whereabouts == Whereabouts()


async def test_where_a_number_is_from_changes_with_it(world: World, tenant: Tenant):
    await tenant.upsert(*((f"u{i}", UserProfile(phone="+14155552671")) for i in range(30)))
    await tenant.upsert(("u7", UserProfile(phone="+34612345678")), ("u8", UserProfile()))
    cards = await world.users.read_cards(tenant.id, ["u6", "u7", "u8"])
    assert [card and (card.phone_country, card.phone_zones) for card in cards] == [
        ("US", ("America/Los_Angeles",)),
        ("ES", ("Atlantic/Canary", "Europe/Madrid")),
        ("", ()),
    ]


async def test_tenants_share_no_users(world: World, tenant: Tenant):
    other = await world.tenant()
    mine = await tenant.user("ada", UserProfile(email="mine@example.com"))
    theirs = await other.user("ada", UserProfile(email="theirs@example.com"))
    assert mine != theirs
    assert (await other.read("ada")).email == "theirs@example.com"
    await delete_user(other.id, "ada", world.users, world.keyring)
    assert (await tenant.read("ada")).email == "mine@example.com"
    assert await world.users.delete(other.id, mine) is False
