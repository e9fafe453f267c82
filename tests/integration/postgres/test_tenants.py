"""Tenants: made once, complete, and read as one configuration that moves with every write."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from clarion.contracts.channels import CHANNELS
from clarion.kernel.errors import Conflict, NotFound
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, Caps, Category, QuietHours, Tenant, TenantEntry
from clarion.tenancy.ports import TenantSeed
from clarion.tenancy.provision import NewTenant, create_tenant, sandbox_providers
from tests.integration.postgres.support import REGION, World
from tests.integration.postgres.support import Tenant as TenantOfTest


def a_name() -> str:
    return f"acme-{os.urandom(6).hex()}"


async def test_a_new_tenant_has_categories_and_a_sandbox_a_channel(world: World):
    new = NewTenant(a_name(), REGION, timezone="Asia/Tokyo", country="JP")
    made = await create_tenant(new, os.urandom(16), world.directory, world.tenants)
    assert made.created
    config = await world.tenants.load_config(made.tenant_id)
    assert config.tenant == Tenant(
        made.tenant_id, new.name, "Asia/Tokyo", "JP", quiet_hours=QuietHours(22 * 60, 8 * 60)
    )
    assert config.categories == {category.name: category for category in DEFAULT_CATEGORIES}
    assert {(p.name, p.kind, p.channel, p.enabled) for p in config.providers} == {
        (f"sandbox-{channel}", "sandbox", channel, True) for channel in CHANNELS
    }
    assert config.templates == {}


async def test_making_a_tenant_again_changes_nothing(world: World):
    new = NewTenant(a_name(), REGION)
    first = await create_tenant(new, os.urandom(16), world.directory, world.tenants)
    again = await create_tenant(new, os.urandom(16), world.directory, world.tenants)
    assert (again.tenant_id, again.created) == (first.tenant_id, False)


async def test_many_at_once_make_one_tenant(world: World):
    new = NewTenant(a_name(), REGION)
    made = await asyncio.gather(
        *(create_tenant(new, os.urandom(16), world.directory, world.tenants) for _ in range(8))
    )
    assert len({one.tenant_id for one in made}) == 1
    assert sum(one.created for one in made) == 1


async def test_a_tenant_that_a_crash_left_half_made_is_completed(world: World):
    name, ident = a_name(), os.urandom(16)
    await world.directory.register(TenantEntry(ident, name, REGION))
    made = await create_tenant(NewTenant(name, REGION), os.urandom(16), world.directory, world.tenants)
    assert (made.tenant_id, made.created) == (ident, True)


async def test_a_name_belongs_to_one_region(world: World):
    name = a_name()
    await world.directory.register(TenantEntry(os.urandom(16), name, "eu-west-1"))
    with pytest.raises(Conflict, match="eu-west-1"):
        await create_tenant(NewTenant(name, REGION), os.urandom(16), world.directory, world.tenants)


async def test_a_tenant_may_have_no_quiet_hours_of_its_own(world: World):
    ident = os.urandom(16)
    seed = TenantSeed(Tenant(ident, "quiet", quiet_hours=None), DEFAULT_CATEGORIES, sandbox_providers(ident))
    assert await world.tenants.create(seed)
    assert (await world.tenants.load_config(ident)).tenant.quiet_hours is None


async def test_every_write_moves_the_version(world: World, tenant: TenantOfTest):
    versions = [await world.tenants.config_version(tenant.id)]

    async def moved() -> bool:
        versions.append(await world.tenants.config_version(tenant.id))
        assert versions[-1] == (await world.tenants.load_config(tenant.id)).version
        return versions[-1] == versions[-2] + 1

    news = Category("news", "marketing", 3600, "park", Caps(2, {"sms": 1}), 0b101, 2)
    await world.tenants.put_category(tenant.id, news)
    assert await moved()
    assert (await world.tenants.load_config(tenant.id)).categories["news"] == news
    await world.tenants.put_category(tenant.id, msgspec.structs.replace(news, ttl_s=60))
    assert await moved()
    mail = ProviderConfig("mail", tenant.id, "smtp", "email", {"host": "h"}, {"username": "u"}, 1200, 3)
    await world.tenants.put_provider(mail)
    assert await moved()
    await world.tenants.put_provider(msgspec.structs.replace(mail, enabled=False, credentials={}))
    assert await moved()
    kept = {p.name: p for p in (await world.tenants.load_config(tenant.id)).providers}["mail"]
    assert kept == msgspec.structs.replace(mail, enabled=False, credentials={}, version=2)
    assert await world.tenants.delete_provider(tenant.id, "mail")
    assert await moved()
    assert not await world.tenants.delete_provider(tenant.id, "mail")
    assert await world.tenants.config_version(tenant.id) == versions[-1], "nothing was deleted"


async def test_one_tenants_writes_leave_anothers_configuration(world: World, tenant: TenantOfTest):
    other = await world.tenant()
    before = await world.tenants.load_config(other.id)
    await world.tenants.put_category(tenant.id, Category("news", "marketing"))
    await world.tenants.put_provider(ProviderConfig("mail", tenant.id, "smtp", "email", {}, {}))
    assert not await world.tenants.delete_provider(other.id, "mail")
    assert await world.tenants.load_config(other.id) == before


async def test_what_no_tenant_has_cannot_be_written(world: World):
    nobody = os.urandom(16)
    with pytest.raises(NotFound):
        await world.tenants.load_config(nobody)
    with pytest.raises(NotFound):
        await world.tenants.config_version(nobody)
    with pytest.raises(NotFound):
        await world.tenants.put_category(nobody, Category("news", "marketing"))
    with pytest.raises(NotFound):
        await world.tenants.put_provider(ProviderConfig("mail", nobody, "smtp", "email", {}, {}))


async def test_the_tenants_of_a_region_can_be_listed(world: World, tenant: TenantOfTest):
    assert tenant.id in {entry.tenant_id for entry in await world.tenants.list_tenants(REGION)}
