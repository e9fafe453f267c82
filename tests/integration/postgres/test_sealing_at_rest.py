"""What is personal is readable with the user's own key, in her own place, and nowhere else."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.sealers import AesSealer
from clarion.audience.keyring import NOBODY, Keyring, check_master_key
from clarion.audience.model import DeviceToken
from clarion.audience.profile import UserProfile
from clarion.audience.seals import SealedOf, Seals
from clarion.audience.users import delete_user
from clarion.compliance.consent import ConsentRequest
from clarion.kernel.errors import Invalid
from clarion.testing.database import PreparedDatabases
from tests.integration.postgres.support import MASTER, Tenant, World

CANARY = "Canary7391"


async def everything(url: str) -> dict[str, str]:
    """Every table that the role of `url` may read, as text."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT')"
        )
        dumps: dict[str, str] = {}
        for table in tables:
            rows = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")  # noqa: S608  from the catalogue
            dumps[table["name"]] = "\n".join(row["row"] for row in rows)
        return dumps
    finally:
        await connection.close()


def appearances(dumps: dict[str, str], *words: str) -> list[tuple[str, str]]:
    """Tables and words that they hold in any of the ways in which text is written down."""
    found: list[tuple[str, str]] = []
    for word in words:
        forms = {word.lower(), word.encode().hex(), word.encode()[::-1].hex()}
        found += [
            (table, word) for table, dump in dumps.items() if any(form in dump.lower() for form in forms)
        ]
    return found


async def test_no_table_holds_anything_personal_in_clear(databases: PreparedDatabases, tenant: Tenant):
    await tenant.upsert(
        (
            "ada",
            UserProfile(
                email=f"{CANARY}@example.com",
                phone="+4915112345678",
                device_tokens=[DeviceToken("ios", f"{CANARY}-token")],
                attributes={"first_name": CANARY, f"{CANARY}-key": 1},
            ),
        )
    )
    await tenant.say(
        ConsentRequest(
            user_id="ada",
            channel="email",
            category="marketing",
            consented=True,
            source="web",
            ip_address="203.0.113.77",
            user_agent=f"{CANARY}/1.0",
            evidence={"form": CANARY},
        )
    )
    dumps = await everything(databases.urls.pipeline) | await everything(databases.urls.keys)
    assert {"user_profiles", "consent_records", "consent_events", "subject_keys"} <= dumps.keys()
    assert tenant.id.hex() in dumps["user_profiles"].replace("-", ""), "the search would find nothing at all"
    assert appearances(dumps, CANARY, "4915112345678", "15112345678", "203.0.113.77") == []


async def test_equal_addresses_of_two_tenants_look_different(world: World, tenant: Tenant):
    other = await world.tenant()
    profile = UserProfile(email="ada@example.com", phone="+4915112345678")
    await tenant.user("ada", profile)
    await other.user("ada", profile)
    mine, theirs = await world.users.read(tenant.id, "ada"), await world.users.read(other.id, "ada")
    assert mine is not None
    assert theirs is not None
    assert mine.email_hmac != theirs.email_hmac
    assert mine.phone_hmac != theirs.phone_hmac
    assert mine.fingerprint != theirs.fingerprint


async def test_what_is_sealed_opens_in_no_other_place(world: World, tenant: Tenant):
    other = await world.tenant()
    await tenant.user("ada")
    await tenant.user("bob")
    await other.user("eve")
    ada, bob, eve = await tenant.sealed("ada"), await tenant.sealed("bob"), await other.sealed("eve")
    moved = [
        SealedOf(bob.user_id, tenant.id, ada.sealed),
        SealedOf(eve.user_id, other.id, ada.sealed),
        SealedOf(ada.user_id, other.id, ada.sealed),
        SealedOf(ada.user_id, tenant.id, ada.sealed[:-1] + bytes([ada.sealed[-1] ^ 1])),
        SealedOf(ada.user_id, tenant.id, b""),
        SealedOf(ada.user_id, tenant.id, b"\x09" + ada.sealed[1:]),
    ]
    assert await world.seals.open_profiles(moved) == [None] * len(moved)
    opened = await world.seals.open_profiles([ada, *moved, bob])
    assert [profile and profile.email for profile in (opened[0], opened[-1])] == [
        "ada@example.com",
        "bob@example.com",
    ], "the wrong ones take no neighbour down"


async def test_moving_a_wrapped_key_to_another_user_opens_nothing(world: World, tenant: Tenant):
    ada, bob = await tenant.user("ada"), await tenant.user("bob")
    wrapped = (await world.subject_keys.fetch([ada]))[ada]
    await world.subject_keys.destroy([bob])
    await world.subject_keys.add({bob: wrapped})
    world.watch.seconds += 120
    sealed = await tenant.sealed("bob")
    moved = SealedOf(bob, tenant.id, (await tenant.sealed("ada")).sealed)
    assert await world.seals.open_profiles([sealed, moved]) == [None, None]


async def test_a_destroyed_key_is_forgotten_within_its_time_to_live(world: World, tenant: Tenant):
    await tenant.user("ada")
    sealed = await tenant.sealed("ada")
    elsewhere = Seals(Keyring(world.subject_keys, world.sealer, world.watch), world.sealer, world.users)
    assert (await elsewhere.open_profiles([sealed]))[0] is not None
    await delete_user(tenant.id, "ada", world.users, world.keyring)
    assert await world.seals.open_profiles([sealed]) == [None], "here at once"
    assert (await elsewhere.open_profiles([sealed]))[0] is not None, "another process still remembers"
    world.watch.seconds += 60
    assert await elsewhere.open_profiles([sealed]) == [None]


async def test_a_key_that_was_replaced_elsewhere_is_read_anew(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    elsewhere = Seals(Keyring(world.subject_keys, world.sealer, world.watch), world.sealer, world.users)
    await elsewhere.open_profiles([await tenant.sealed("ada")])
    await world.subject_keys.destroy([user_id])
    await tenant.user("ada", UserProfile(email="new@example.com"))
    (profile,) = await elsewhere.open_profiles([await tenant.sealed("ada")])
    assert profile is not None
    assert profile.email == "new@example.com"


async def test_memory_for_keys_is_bounded(world: World, tenant: Tenant):
    names = [f"u{i}" for i in range(40)]
    for name in names:
        await tenant.user(name)
    sealed = [await tenant.sealed(name) for name in names]
    tight = Keyring(world.subject_keys, world.sealer, world.watch, capacity=10)
    seals = Seals(tight, world.sealer, world.users)
    for _ in range(3):
        assert None not in await seals.open_profiles(sealed)
    await world.subject_keys.destroy([one.user_id for one in sealed])
    remembered = [profile for profile in await seals.open_profiles(sealed) if profile is not None]
    assert 0 < len(remembered) <= 10


async def test_another_master_key_is_noticed_at_the_start(world: World):
    await check_master_key(world.subject_keys, world.sealer)
    await check_master_key(world.subject_keys, AesSealer(MASTER))
    with pytest.raises(Invalid, match="CLARION_MASTER_KEY"):
        await check_master_key(world.subject_keys, AesSealer(MasterKey(bytes(32))))
    assert NOBODY in await world.subject_keys.fetch([NOBODY])


async def test_with_another_master_key_nothing_opens(world: World, tenant: Tenant):
    await tenant.user("ada")
    sealer = AesSealer(MasterKey(bytes(32)))
    seals = Seals(Keyring(world.subject_keys, sealer, world.watch), sealer, world.users)
    assert await seals.open_profiles([await tenant.sealed("ada")]) == [None]


async def test_provider_secrets_open_only_for_their_own_account(world: World, tenant: Tenant):
    other = await world.tenant()
    config = (await world.tenants.load_config(tenant.id)).providers[0]
    secret = msgspec.structs.replace(
        config,
        name="mail",
        kind="smtp",
        credentials={"username": "u", "password": CANARY},
        settings={"host": "h"},
    )
    await world.tenants.put_provider(secret)
    kept = {provider.name: provider for provider in (await world.tenants.load_config(tenant.id)).providers}[
        "mail"
    ]
    assert kept.credentials == {"username": "u", "password": CANARY}
    async with world.pools.pipeline() as connection:
        await connection.execute(
            "INSERT INTO providers (tenant_id, name, kind, channel, credentials) "
            "SELECT $1, name, kind, channel, credentials FROM providers WHERE tenant_id = $2 AND name = 'mail'",
            other.id,
            tenant.id,
        )
    stolen = {provider.name: provider for provider in (await world.tenants.load_config(other.id)).providers}
    assert (stolen["mail"].credentials, stolen["mail"].enabled) == ({}, False)
    assert stolen["sandbox-email"].enabled
