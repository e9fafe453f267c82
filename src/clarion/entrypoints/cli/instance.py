"""An instance's first and every later start: schema, and the default tenant with a key that works."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from clarion.adapters.embedded import Credentials, DataDirectory, StoreUrls, borrow_stores
from clarion.adapters.globaldb.store import apply_schema, close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.api_keys import PostgresApiKeys
from clarion.adapters.postgres.migrate import migrate
from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.kernel.errors import Invalid, NotFound
from clarion.kernel.ids import format_id, make_ids
from clarion.keys import global_urls_of, master_key_of, role_passwords, vault_of
from clarion.settings import Settings, load_settings
from clarion.tenancy.api_keys import KEY_BYTES, KeyRequest, authenticate, create_key
from clarion.tenancy.provision import NewTenant, create_tenant

DEFAULT_TENANT: Final = "default"


@asynccontextmanager
async def borrowed_settings(data: Path) -> AsyncGenerator[Settings]:
    """The settings with which a single command reaches the instance of a data directory, running or stopped.

    A store with a URL of its own is used as it is; embedded ones are taken as they run, or started while this lasts.
    Raises DirectoryUnusable where there is no instance.
    """
    settings = load_settings()
    if settings.postgres_url and settings.redis_url and settings.master_key:
        yield settings
        return
    async with borrow_stores(data) as urls:
        credentials = Credentials(DataDirectory.existing(data))
        yield load_settings(**role_overrides(settings, urls, credentials))


def role_overrides(settings: Settings, urls: StoreUrls, credentials: Credentials) -> dict[str, str | None]:
    """What takes the places of settings that are not set: the embedded stores, and the directory's master key."""
    return {
        "postgres_url": urls.postgres if settings.postgres_url is None else None,
        "redis_url": urls.valkey if settings.redis_url is None else None,
        "master_key": credentials.master_key() if settings.master_key is None else None,
    }


async def find_tenant(tenants: PostgresTenants, region: str, name: str) -> bytes:
    """The id of the tenant of this name at home in `region`. Raises NotFound with those that there are."""
    entries = await tenants.list_tenants(region)
    found = next((entry.tenant_id for entry in entries if entry.name == name), None)
    if found is None:
        raise NotFound(f"no tenant {name!r}; there are: {', '.join(entry.name for entry in entries)}")
    return found


class FirstTenant(msgspec.Struct, frozen=True):
    """The default tenant, and the text of a key that it may call the API with."""

    tenant_id: str
    api_key: str


async def prepare_instance(settings: Settings, credentials: Credentials) -> FirstTenant:
    """Bring the schema up to date and make sure of the default tenant; its key is kept in `credentials.json`.

    Safe at every start. Raises Transient, Permanent as `migrate` does.
    """
    if settings.postgres_url is None:
        raise Invalid("CLARION_POSTGRES_URL is not set", "postgres_url")
    master = master_key_of(settings)
    report = await migrate(settings.postgres_url.get_secret_value(), role_passwords(master))
    global_urls = global_urls_of(settings)
    await apply_schema(global_urls[0])
    pools = await open_pools(report.urls, size=2, name="clarion-up")
    directory = await open_global_pool(*global_urls, size=1, name="clarion-up")
    try:
        now_ms = await pools.now_ms()
        tenant = await create_tenant(
            NewTenant(DEFAULT_TENANT, settings.region),
            make_ids(1, now_ms),
            GlobalTenants(directory),
            PostgresTenants(pools, vault_of(settings, pools, time.monotonic)),
        )
        keys = PostgresApiKeys(pools)
        text = credentials.all().get("api_key", "")
        if await authenticate(text, keys) is None:
            request = KeyRequest(name=f"up-{now_ms}")
            minted = await create_key(
                tenant.tenant_id, request, keys, chance=os.urandom(KEY_BYTES), now_ms=now_ms
            )
            text = minted.text
        tenant_id = format_id(tenant.tenant_id)
        if credentials.all().get("api_key") != text or credentials.all().get("tenant_id") != tenant_id:
            credentials.keep(tenant_id=tenant_id, api_key=text)
    finally:
        await close_global_pool(directory)
        await pools.close()
    return FirstTenant(tenant_id, text)
