"""Templates on the real store: each write a version, no version ever changed."""

from __future__ import annotations

import asyncio
import os

import pytest

from clarion.adapters.postgres.templates import Saving
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


async def saved(tenant: Tenant, name: str, body: str, *, live: bool = True, with_email: bool = False) -> int:
    checked = content(body, with_email=with_email)
    return (await tenant.world.templates.save(tenant.id, name, checked, Saving(live=live, by="key"))).version


async def test_each_write_makes_a_version_and_moves_the_configuration(tenant: Tenant):
    tenants = tenant.world.tenants
    before = await tenants.config_version(tenant.id)
    assert await saved(tenant, "hello", "one") == 1
    assert await saved(tenant, "hello", "two", with_email=True) == 2
    config = await tenants.load_config(tenant.id)
    assert config.version == before + 2
    assert config.templates == {"hello": TemplateInfo("hello", 2, "service", 0b101)}


async def test_saving_the_same_again_makes_none(tenant: Tenant):
    await saved(tenant, "hello", "one")
    before = await tenant.world.tenants.config_version(tenant.id)
    assert await saved(tenant, "hello", "one") == 1
    assert await tenant.world.tenants.config_version(tenant.id) == before
    await saved(tenant, "hello", "two")
    assert await saved(tenant, "hello", "one") == 3, "going back is a new version"


async def test_a_draft_changes_nothing_that_is_sent_until_it_is_promoted(tenant: Tenant):
    store, tenants = tenant.world.templates, tenant.world.tenants
    assert await saved(tenant, "hello", "one", live=False) == 1
    assert (await tenants.load_config(tenant.id)).templates == {}
    assert await store.get(tenant.id, "hello", "live") is None
    assert await saved(tenant, "hello", "one", live=False) == 1, "saying it twice is one draft"
    first = await store.promote(tenant.id, "hello", 1, "ada")
    assert first is not None
    assert (first.version, first.previous, first.by) == (1, None, "ada")
    before = await tenants.config_version(tenant.id)
    assert await saved(tenant, "hello", "two", live=False) == 2
    config = await tenants.load_config(tenant.id)
    assert (config.version, config.templates["hello"].version) == (before, 1)


async def test_a_version_is_promoted_rolled_back_to_and_every_change_is_kept(tenant: Tenant):
    store, tenants = tenant.world.templates, tenant.world.tenants
    for body in ("one", "two", "three"):
        await saved(tenant, "hello", body)
    assert await store.promote(tenant.id, "hello", 9, "ada") is None
    back = await store.promote(tenant.id, "hello", 1, "ada")
    again = await store.promote(tenant.id, "hello", 1, "bob")
    assert back == again, "what is live already is not promoted again"
    assert (await tenants.load_config(tenant.id)).templates["hello"].version == 1
    live = await store.get(tenant.id, "hello", "live")
    assert live is not None
    assert live.version == await store.find_live(tenant.id, "hello") == 1
    changes = [(p.version, p.previous, p.by) for p in await store.list_promotions(tenant.id, "hello")]
    assert changes == [(1, 3, "ada"), (3, 2, "key"), (2, 1, "key"), (1, None, "key")]
    versions = await store.list_versions(tenant.id, "hello")
    assert [(v.version, v.is_live) for v in versions] == [(3, False), (2, False), (1, True)]
    older = await store.list_versions(tenant.id, "hello", before=3, limit=1)
    assert [v.version for v in older] == [2]


async def test_saving_as_live_what_is_there_makes_it_live_and_no_version(tenant: Tenant):
    store = tenant.world.templates
    await saved(tenant, "hello", "one")
    await saved(tenant, "hello", "two")
    await store.promote(tenant.id, "hello", 1, "ada")
    assert await saved(tenant, "hello", "one") == 1, "it is what is live"
    assert await saved(tenant, "hello", "two") == 2, "it is the latest, and goes live"
    assert await store.find_live(tenant.id, "hello") == 2
    assert len(await store.list_versions(tenant.id, "hello")) == 2


async def test_of_promotions_at_once_the_last_written_holds(tenant: Tenant):
    store = tenant.world.templates
    for i in range(4):
        await saved(tenant, "hello", f"text {i}")
    await asyncio.gather(*(store.promote(tenant.id, "hello", i + 1, f"key {i}") for i in range(4)))
    last = (await store.list_promotions(tenant.id, "hello"))[0]
    assert await store.find_live(tenant.id, "hello") == last.version
    assert (await tenant.world.tenants.load_config(tenant.id)).templates["hello"].version == last.version


async def test_versions_are_read_one_by_one_and_by_the_batch(tenant: Tenant):
    store = tenant.world.templates
    await saved(tenant, "hello", "one", with_email=True)
    await saved(tenant, "hello", "two")
    await saved(tenant, "bye", "three")
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
    saves = (saved(tenant, "hello", f"text {i}") for i in range(6))
    assert sorted(await asyncio.gather(*saves)) == [1, 2, 3, 4, 5, 6]


async def test_templates_belong_to_their_tenant(tenant: Tenant):
    other, store = await tenant.world.tenant(), tenant.world.templates
    await saved(tenant, "hello", "one")
    assert await store.get(other.id, "hello") is None
    assert await store.list_latest(other.id) == []
    assert await store.list_versions(other.id, "hello") == []
    assert await store.list_promotions(other.id, "hello") == []
    assert await store.promote(other.id, "hello", 1, "mallory") is None
    with pytest.raises(NotFound):
        await store.save(os.urandom(16), "hello", content("one"))
