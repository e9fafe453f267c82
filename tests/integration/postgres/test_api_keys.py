"""API keys on the real store: shown once, two at a time, ended when they are."""

from __future__ import annotations

import asyncio
import os

import pytest

from clarion.kernel.errors import Conflict, Invalid, NotFound
from clarion.tenancy.api_keys import (
    KEY_BYTES,
    MAX_LIVE,
    KeyRequest,
    MintedKey,
    authenticate,
    create_key,
    mint_key,
)
from clarion.tenancy.ports import StoredKey
from tests.integration.postgres.support import Tenant

NOW_MS = 1_800_000_000_000


async def make(tenant: Tenant, request: KeyRequest) -> MintedKey:
    return await create_key(
        tenant.id, request, tenant.world.api_keys, chance=os.urandom(KEY_BYTES), now_ms=NOW_MS
    )


async def test_a_key_says_who_holds_it(tenant: Tenant):
    minted = await make(tenant, KeyRequest("ci", "test", ["users:read", "users:write"]))
    principal = await authenticate(minted.text, tenant.world.api_keys)
    assert principal is not None
    assert principal.tenant_id == tenant.id
    assert principal.key_id == minted.key_id
    assert principal.environment == "test"
    assert principal.scopes == {"users:read", "users:write"}


async def test_a_list_of_keys_shows_no_key(tenant: Tenant):
    minted = await make(tenant, KeyRequest("ci"))
    (record,) = await tenant.world.api_keys.list_keys(tenant.id)
    assert (record.key_id, record.name, record.environment, record.scopes) == (
        minted.key_id,
        "ci",
        "live",
        ["*"],
    )
    assert (record.last_four, record.expires_ms, record.revoked_ms) == (minted.text[-4:], None, None)
    assert minted.text not in repr(record)


async def test_no_table_holds_a_key(tenant: Tenant):
    minted = await make(tenant, KeyRequest("ci"))
    async with tenant.world.pools.pipeline() as connection:
        dump = await connection.fetchval("SELECT string_agg(k::text, ' ') FROM api_keys k")
    assert minted.key_hash.hex() in dump, "the search would find nothing at all"
    assert minted.text not in dump
    assert minted.text.encode().hex() not in dump


async def test_two_keys_of_a_name_live_while_one_replaces_the_other(tenant: Tenant):
    old = await make(tenant, KeyRequest("deploy"))
    new = await make(tenant, KeyRequest("deploy"))
    with pytest.raises(Conflict, match="deploy"):
        await make(tenant, KeyRequest("deploy"))
    await make(tenant, KeyRequest("deploy", "test"))
    await make(tenant, KeyRequest("other"))
    assert await tenant.world.api_keys.revoke_key(tenant.id, old.key_id)
    assert await authenticate(old.text, tenant.world.api_keys) is None
    assert await authenticate(new.text, tenant.world.api_keys) is not None
    await make(tenant, KeyRequest("deploy"))


async def test_many_at_once_do_not_pass_the_limit(tenant: Tenant):
    made = await asyncio.gather(
        *(make(tenant, KeyRequest("deploy")) for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(one, MintedKey) for one in made) == MAX_LIVE
    assert sum(isinstance(one, Conflict) for one in made) == 6 - MAX_LIVE


async def test_an_expired_key_is_nobodys_and_takes_no_place(tenant: Tenant):
    now_ms = await tenant.world.pools.now_ms()
    for _ in range(3):
        minted = mint_key("live", os.urandom(KEY_BYTES))
        stored = StoredKey("live", minted.key_hash, "xxxx", "deploy", frozenset({"*"}), now_ms - 1)
        await tenant.world.api_keys.create_key(tenant.id, stored, max_live=MAX_LIVE)
        assert await authenticate(minted.text, tenant.world.api_keys) is None
    later = await make(tenant, KeyRequest("deploy", expires_ms=NOW_MS + 1))
    assert await authenticate(later.text, tenant.world.api_keys) is not None


async def test_revoking_twice_is_no_error_and_strangers_cannot(tenant: Tenant):
    other = await tenant.world.tenant()
    minted = await make(tenant, KeyRequest("ci"))
    keys = tenant.world.api_keys
    assert not await keys.revoke_key(other.id, minted.key_id)
    assert not await keys.revoke_key(tenant.id, "no id at all")
    assert await authenticate(minted.text, keys) is not None
    assert await keys.revoke_key(tenant.id, minted.key_id)
    (first,) = await keys.list_keys(tenant.id)
    assert await keys.revoke_key(tenant.id, minted.key_id)
    assert await keys.list_keys(tenant.id) == [first]
    assert await keys.list_keys(other.id) == []


async def test_what_is_wrong_with_a_request_is_said(tenant: Tenant):
    for request, path in (
        (KeyRequest(scopes=["users:fly"]), "scopes"),
        (KeyRequest(scopes=[]), "scopes"),
        (KeyRequest(expires_ms=NOW_MS), "expires_at"),
        (KeyRequest(name="\0"), "name"),
    ):
        with pytest.raises(Invalid) as caught:
            await make(tenant, request)
        assert caught.value.path == path


async def test_a_key_needs_a_tenant(tenant: Tenant):
    with pytest.raises(NotFound):
        await create_key(
            os.urandom(16), KeyRequest(), tenant.world.api_keys, chance=os.urandom(KEY_BYTES), now_ms=NOW_MS
        )
