"""The master key takes the place of another: keys are wrapped anew, nothing else changes, and the old one is let go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator

import pytest

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.migrate import Databases
from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.postgres.tenant_keys import PostgresKeyCensus, PostgresTenantKeys, place_of
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.vault import TenantVault
from clarion.audience.keyring import Keyring, check_master_key
from clarion.audience.rewrapping import rewrap_users
from clarion.audience.seals import Seals
from clarion.kernel.errors import Invalid
from clarion.keys import MasterKeys, find_root, kms_of, rewrap_root, sealer_of
from clarion.tenancy.secrets import rewrap_tenants
from clarion.testing.database import PreparedDatabases, prepare_databases
from tests.integration.postgres.support import MASTER, World

NEW = MasterKey(b"the new master key of this test!")
BEFORE, BETWEEN, AFTER = MasterKeys(MASTER), MasterKeys(NEW, MASTER), MasterKeys(NEW)


@pytest.fixture(scope="module")
def apart(admin_url: str) -> PreparedDatabases:
    """Databases whose keys no other test needs."""
    mark = os.urandom(4).hex()
    names = Databases(f"k_{mark}", f"k_{mark}_keys", f"k_{mark}_global")
    return asyncio.run(prepare_databases(admin_url, names))


@pytest.fixture
async def old(apart: PreparedDatabases) -> AsyncGenerator[World]:
    """A region that was begun with MASTER."""
    pools = await open_pools(apart.urls, size=4, name="tests")
    directory = await open_global_pool(apart.global_url, size=1, name="tests")
    yield World(pools, GlobalTenants(directory))
    await close_global_pool(directory)
    await pools.close()


async def test_keys_are_wrapped_anew_and_the_key_before_is_let_go(old: World):
    await check_master_key(old.subject_keys, old.sealer)
    root = await find_root(old.pools, BEFORE)
    tenants = [await old.tenant() for _ in range(3)]
    for tenant in tenants:
        await tenant.user("ada")
    places = [place_of("providers", tenant.id, "mail") for tenant in tenants]
    sealed = [await old.vault.seal(place, b"secret") for place in places]
    profiles = [await tenant.sealed("ada") for tenant in tenants]

    # Between: both keys are known, the new one wraps, everything opens.
    between = _vault(old, BETWEEN)
    assert [await between.unseal(place, one) for place, one in zip(places, sealed, strict=True)] == [
        b"secret"
    ] * 3
    await between.seal(place_of("providers", (await old.tenant()).id, "mail"), b"new")
    assert set(await PostgresKeyCensus(old.pools).count()) == {MASTER.number, NEW.number}

    # A run that is broken off, and the one that goes on with it.
    keys, kms = PostgresTenantKeys(old.pools), kms_of(BETWEEN)
    await rewrap_root(old.pools, BETWEEN)
    users = rewrap_users(old.subject_keys, sealer_of(BETWEEN, root))
    assert await anext(users) == 4
    await users.aclose()
    assert sum([count async for count in rewrap_tenants(keys, kms)]) == 3
    assert sum([count async for count in rewrap_tenants(keys, kms)]) == 0
    assert [count async for count in rewrap_users(old.subject_keys, sealer_of(BETWEEN, root))] == []
    assert set(await PostgresKeyCensus(old.pools).count()) == {NEW.number}

    # After: the new key alone opens all of it, and finds what the old one blinded.
    assert (await find_root(old.pools, AFTER)).number == MASTER.number
    sealer = sealer_of(AFTER, await find_root(old.pools, AFTER))
    await check_master_key(old.subject_keys, sealer)
    opened = await Seals(Keyring(old.subject_keys, sealer, old.watch), sealer, old.users).open_profiles(
        profiles
    )
    assert [profile and profile.email for profile in opened] == ["ada@example.com"] * 3
    assert await _vault(old, AFTER).unseal(places[0], sealed[0]) == b"secret"
    assert sealer.blind(tenants[0].id, b"ada@example.com") == old.sealer.blind(
        tenants[0].id, b"ada@example.com"
    )

    # And the one before opens nothing.
    with pytest.raises(Invalid, match="CLARION_MASTER_KEY"):
        await find_root(old.pools, BEFORE)


def _vault(world: World, keys: MasterKeys) -> TenantVault:
    return TenantVault(PostgresTenantKeys(world.pools), kms_of(keys), keys.all(), world.watch)
