"""Tenants' secrets: each opens in its own place only, old ones still do, destroyed ones never again."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest

from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.postgres.tenant_keys import PostgresSealedRows, PostgresTenantKeys, place_of
from clarion.adapters.postgres.token_issuers import PostgresTokenIssuers
from clarion.adapters.sealing import aead
from clarion.adapters.sealing.kms import LocalKms
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.vault import CACHE_TTL_S, FORMAT, TenantVault
from clarion.kernel.errors import ClarionError, Permanent
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.issuers import TokenIssuer
from clarion.tenancy.secrets import SecretPlace, TenantKey, change_key, renew_format
from clarion.testing.database import PreparedDatabases
from tests.integration.postgres.support import MASTER, Tenant, World

SECRET = b"a secret that nobody else may read"


def another_vault(world: World, master: MasterKey = MASTER) -> TenantVault:
    """As another process has it."""
    return TenantVault(PostgresTenantKeys(world.pools), LocalKms(master), [master], world.watch)


def mail_of(tenant: Tenant, name: str = "mail") -> ProviderConfig:
    """An account with credentials."""
    credentials = {"username": "u", "password": SECRET.decode()}
    return ProviderConfig(name, tenant.id, "smtp", "email", {"host": "h"}, credentials)


async def test_what_is_sealed_for_one_place_opens_in_no_other(world: World):
    tenants = [(await world.tenant()).id for _ in range(2)]
    places = [
        SecretPlace(*place)
        for place in itertools.product(
            tenants, ("providers", "token_issuers"), ("credentials", "x"), ("a", "b", "ab")
        )
    ]
    sealed = {place: await world.vault.seal(place, SECRET) for place in places}
    for here, there in itertools.product(places, places):
        if here == there:
            assert await world.vault.unseal(here, sealed[there]) == SECRET
        else:
            with pytest.raises(Permanent):
                await world.vault.unseal(here, sealed[there])


def test_no_two_places_are_the_same_bytes():
    parts = [b"", b"a", b"ab", b"\x00\x00\x00\x01a"]
    places = [
        SecretPlace(tenant, table.decode(), column.decode(), row.decode())
        for tenant, table, column, row in itertools.product(parts, repeat=4)
    ]
    assert len({place.context() for place in places}) == len(places)


async def test_whatever_is_altered_does_not_open(world: World, tenant: Tenant):
    place = place_of("providers", tenant.id, "mail")
    sealed = await world.vault.seal(place, SECRET)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(Permanent):
            await world.vault.unseal(place, bytes(altered))
    for end in range(len(sealed)):
        with pytest.raises(Permanent):
            await world.vault.unseal(place, sealed[:end])


async def test_of_processes_that_make_the_first_key_at_once_one_wins(world: World, tenant: Tenant):
    vaults = [another_vault(world) for _ in range(4)]
    place = place_of("providers", tenant.id, "mail")
    sealed = await asyncio.gather(*(vault.seal(place, SECRET) for vault in vaults))
    for vault, one in itertools.product(vaults, sealed):
        assert await vault.unseal(place, one) == SECRET
    assert len(await PostgresTenantKeys(world.pools).fetch(tenant.id)) == 1


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("providers", b"mail"),
        ("token_issuers", b"token-issuer\x00mail"),
        ("idempotency_keys", b"idempotent-answer"),
    ],
)
async def test_what_earlier_releases_sealed_still_opens(
    world: World, tenant: Tenant, table: str, name: bytes
):
    before = aead.seal(MASTER.derive("tenant-secrets"), SECRET, tenant.id + name)
    place = place_of(table, tenant.id, "mail")
    assert world.vault.number_of(before) == 0
    assert await world.vault.unseal(place, before) == SECRET
    with pytest.raises(Permanent):
        await world.vault.unseal(place_of(table, (await world.tenant()).id, "mail"), before)


async def test_secrets_of_earlier_releases_are_sealed_anew(world: World, tenant: Tenant):
    await world.tenants.put_provider(mail_of(tenant))
    sealed = aead.seal(MASTER.derive("tenant-secrets"), b'{"username":"old"}', tenant.id + b"mail")
    async with world.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE providers SET credentials = $2 WHERE tenant_id = $1 AND name = 'mail'", tenant.id, sealed
        )
    rows = PostgresSealedRows(world.pools)
    assert [count async for count in renew_format([tenant.id], rows, world.vault)] == [1]
    assert [count async for count in renew_format([tenant.id], rows, world.vault)] == [0]
    (value,) = await rows.list_values(tenant.id)
    assert value.sealed.startswith(FORMAT)
    assert await credentials_of(world, tenant) == {"username": "old"}


async def credentials_of(world: World, tenant: Tenant) -> dict[str, str]:
    config = await world.tenants.load_config(tenant.id)
    return next(one.credentials for one in config.providers if one.name == "mail")


async def test_a_tenants_key_is_changed_while_others_go_on(world: World, tenant: Tenant):
    issuers = PostgresTokenIssuers(world.pools, world.vault)
    issuer = TokenIssuer(tenant.id, "mail", tenant.name, "us", "live", ("RS256",), (), "", b'{"keys":[]}')
    await issuers.put_issuer(issuer, max_issuers=5)
    await world.tenants.put_provider(mail_of(tenant))
    keys, rows = PostgresTenantKeys(world.pools), PostgresSealedRows(world.pools)
    elsewhere, place = another_vault(world), place_of("idempotency_keys", tenant.id, "k")
    kept = await elsewhere.seal(place, SECRET)

    changed = await change_key(tenant.id, keys, rows, world.vault)
    assert (changed.number, changed.secrets, changed.retired) == (2, 2, 0)
    assert {world.vault.number_of(value.sealed) for value in await rows.list_values(tenant.id)} == {2}
    assert await elsewhere.unseal(place, kept) == SECRET, "with the key before"
    fresh = await world.vault.seal(place, SECRET)
    assert await elsewhere.unseal(place, fresh) == SECRET, "with a key that it has to look up"
    assert (await credentials_of(world, tenant))["password"] == SECRET.decode()
    (found,) = await issuers.list_issuers(tenant.id)
    assert found.key_set == issuer.key_set

    async with world.pools.keys() as connection:
        await connection.execute(
            "UPDATE tenant_keys SET created_at = created_at - interval '26 hours' WHERE tenant_id = $1",
            tenant.id,
        )
    assert (await change_key(tenant.id, keys, rows, world.vault)).retired == 1
    assert [key.number for key in await keys.fetch(tenant.id)] == [3, 2]
    world.watch.seconds += CACHE_TTL_S
    with pytest.raises(Permanent, match="no key 1"):
        await world.vault.unseal(place, kept)


async def test_a_secret_that_does_not_open_keeps_all_keys(world: World, tenant: Tenant):
    await world.tenants.put_provider(mail_of(tenant))
    async with world.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE providers SET credentials = credentials || '\\x00' WHERE tenant_id = $1 AND name = 'mail'",
            tenant.id,
        )
    keys = PostgresTenantKeys(world.pools)
    with pytest.raises(Permanent):
        await change_key(tenant.id, keys, PostgresSealedRows(world.pools), world.vault)
    assert [key.number for key in await keys.fetch(tenant.id)] == [2, 1]


async def test_destroyed_keys_end_all_secrets_and_come_never_again(world: World, tenant: Tenant):
    await world.tenants.put_provider(mail_of(tenant))
    elsewhere, place = another_vault(world), place_of("providers", tenant.id, "mail")
    (value,) = await PostgresSealedRows(world.pools).list_values(tenant.id)
    assert await elsewhere.unseal(place, value.sealed)
    await world.vault.destroy(tenant.id)
    await world.vault.destroy(tenant.id)
    for attempt in (
        world.vault.unseal(place, value.sealed),
        world.vault.seal(place, SECRET),
        world.vault.renew(tenant.id),
    ):
        with pytest.raises(Permanent, match="destroyed"):
            await attempt
    world.watch.seconds += CACHE_TTL_S
    with pytest.raises(Permanent, match="destroyed"):
        await elsewhere.unseal(place, value.sealed)
    assert not await PostgresTenantKeys(world.pools).add(TenantKey(tenant.id, 7, b"wrapped"))
    assert await credentials_of(world, tenant) == {}, "one account is silent, not the tenant"
    assert (await world.tenants.load_config(tenant.id)).providers


async def test_with_another_master_key_no_secret_opens(world: World, tenant: Tenant):
    place = place_of("providers", tenant.id, "mail")
    sealed = await world.vault.seal(place, SECRET)
    with pytest.raises(Permanent, match=MASTER.number.hex()):
        await another_vault(world, MasterKey(bytes(32))).unseal(place, sealed)


async def test_a_key_is_replaced_only_as_it_was_read(world: World, tenant: Tenant):
    keys = PostgresTenantKeys(world.pools)
    await world.vault.seal(place_of("providers", tenant.id, "mail"), SECRET)
    (key,) = await keys.fetch(tenant.id)
    assert not await keys.replace(msgspec.structs.replace(key, wrapped=b"other"), b"mine")
    assert await keys.fetch(tenant.id) == [key]


async def test_the_sealed_columns_are_those_that_the_schema_says(world: World):
    """A column that is sealed, and that no rotation knows, would be lost with the key before."""
    async with world.pools.pipeline() as connection:
        records = await connection.fetch(
            "SELECT c.relname, a.attname FROM pg_description d JOIN pg_class c ON c.oid = d.objoid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid "
            "WHERE d.description LIKE '%sealed with the tenant%'"
        )
    said = {(record["relname"], record["attname"]) for record in records}
    known = {
        (place.table, place.column)
        for place in (
            place_of(table, b"", "") for table in ("providers", "token_issuers", "idempotency_keys")
        )
    }
    assert said == known


async def test_roles_connect_with_the_passwords_of_either_master_key(databases: PreparedDatabases):
    right = databases.urls
    wrong = msgspec.structs.replace(
        right, **{name: _with_password(getattr(right, name)) for name in ("pipeline", "reader", "keys")}
    )
    pools = await open_pools(msgspec.structs.replace(wrong, otherwise=right), size=2, name="tests")
    assert await pools.now_ms()
    await pools.close()
    with pytest.raises(ClarionError):
        await open_pools(wrong, size=2, name="tests")


def _with_password(url: str) -> str:
    login, _, place = url.rpartition("@")
    return f"{login.rpartition(':')[0]}:wrong@{place}"
