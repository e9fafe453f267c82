"""The global store: a tenant's name is its own in the world."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import pytest

from clarion.adapters.globaldb.errors import ATTEMPTS, with_retries
from clarion.adapters.globaldb.store import open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.kernel.errors import Transient
from clarion.tenancy.model import TenantEntry


def an_entry(name: str, region: str = "us-east-1") -> TenantEntry:
    return TenantEntry(os.urandom(16), name, region)


async def test_a_name_is_taken_once(pool: asyncpg.Pool):
    tenants, name = GlobalTenants(pool), os.urandom(6).hex()
    assert await tenants.find(name) is None
    first = an_entry(name)
    assert await tenants.register(first) == first
    assert await tenants.register(an_entry(name, "eu-west-1")) == first
    assert await tenants.find(name) == first


async def test_of_many_at_once_one_gets_the_name(pool: asyncpg.Pool):
    tenants, name = GlobalTenants(pool), os.urandom(6).hex()
    holders = await asyncio.gather(*(tenants.register(an_entry(name)) for _ in range(12)))
    assert len({holder.tenant_id for holder in holders}) == 1


async def test_what_the_store_asks_to_be_repeated_is_repeated():
    calls: list[int] = []

    async def contended() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise asyncpg.SerializationError("restart transaction")
        return "done"

    assert await with_retries(contended) == "done"
    assert len(calls) == 3


async def test_but_not_for_ever():
    calls: list[int] = []

    async def contended() -> None:
        calls.append(1)
        raise asyncpg.SerializationError("restart transaction")

    with pytest.raises(Transient):
        await with_retries(contended)
    assert len(calls) == ATTEMPTS


async def test_a_store_that_is_away_may_come_back():
    pool = await open_global_pool("postgresql://a:b@127.0.0.1:1/x", size=1, name="tests")
    with pytest.raises(Transient):
        await GlobalTenants(pool).find("x")
    await pool.close()
