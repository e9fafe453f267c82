"""Templates on the real store: each write a version, no version ever changed."""

from __future__ import annotations

import asyncio
import os

import pytest

from clarion.kernel.errors import NotFound
from clarion.templates.model import ChannelParts, CheckedTemplate, EmailParts, SmsParts, TemplateContent
from clarion.tenancy.config import TemplateInfo
from tests.integration.postgres.support import Tenant


def content(body: str, *, with_email: bool = False) -> CheckedTemplate:
    email = EmailParts(subject="s", html="<p>{{ a }}</p>") if with_email else None
    parts = ChannelParts(email=email, sms=SmsParts(body=body))
    return CheckedTemplate(
        TemplateContent("service", parts),
        0b101 if with_email else 0b100,
        uses_context=with_email,
        variables=(),
    )


async def test_each_write_makes_a_version_and_moves_the_configuration(tenant: Tenant):
    store, tenants = tenant.world.templates, tenant.world.tenants
    before = await tenants.config_version(tenant.id)
    assert await store.save(tenant.id, "hello", content("one")) == 1
    assert await store.save(tenant.id, "hello", content("two", with_email=True)) == 2
    config = await tenants.load_config(tenant.id)
    assert config.version == before + 2
    assert config.templates == {"hello": TemplateInfo("hello", 2, "service", 0b101)}


async def test_saving_the_same_again_makes_none(tenant: Tenant):
    store = tenant.world.templates
    await store.save(tenant.id, "hello", content("one"))
    before = await tenant.world.tenants.config_version(tenant.id)
    assert await store.save(tenant.id, "hello", content("one")) == 1
    assert await tenant.world.tenants.config_version(tenant.id) == before
    await store.save(tenant.id, "hello", content("two"))
    assert await store.save(tenant.id, "hello", content("one")) == 3, "going back is a new version"


async def test_versions_are_read_one_by_one_and_by_the_batch(tenant: Tenant):
    store = tenant.world.templates
    await store.save(tenant.id, "hello", content("one", with_email=True))
    await store.save(tenant.id, "hello", content("two"))
    await store.save(tenant.id, "bye", content("three"))
    first, latest = await store.get(tenant.id, "hello", 1), await store.get(tenant.id, "hello")
    assert first is not None
    assert latest is not None
    assert (first.version, first.channels, first.uses_context) == (1, 0b101, True)
    assert first.content == content("one", with_email=True).content
    assert (latest.version, latest.content.channels.email) == (2, None)
    assert [(t.name, t.version) for t in await store.list_latest(tenant.id)] == [("bye", 1), ("hello", 2)]
    keys = [(tenant.id, "hello", 1), (tenant.id, "bye", 1), (tenant.id, "hello", 9), (bytes(16), "hello", 1)]
    found = await store.fetch(keys)
    assert found.keys() == set(keys[:2])
    assert found[keys[0]] == first
    assert await store.fetch([]) == {}


async def test_of_saves_at_once_each_gets_its_number(tenant: Tenant):
    saves = (tenant.world.templates.save(tenant.id, "hello", content(f"text {i}")) for i in range(6))
    assert sorted(await asyncio.gather(*saves)) == [1, 2, 3, 4, 5, 6]


async def test_templates_belong_to_their_tenant(tenant: Tenant):
    other, store = await tenant.world.tenant(), tenant.world.templates
    await store.save(tenant.id, "hello", content("one"))
    assert await store.get(other.id, "hello") is None
    assert await store.list_latest(other.id) == []
    with pytest.raises(NotFound):
        await store.save(os.urandom(16), "hello", content("one"))
