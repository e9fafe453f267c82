"""An instance's first and every later start: schema, and the default tenant with a key that works."""

from __future__ import annotations

import os
from typing import Final

import msgspec

from clarion.adapters.embedded import Credentials
from clarion.adapters.globaldb.store import apply_schema, close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.api_keys import PostgresApiKeys
from clarion.adapters.postgres.migrate import migrate
from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.adapters.sealing.sealers import AesVault
from clarion.bootstrap import master_key_of, role_passwords
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import format_id, make_ids
from clarion.settings import Settings
from clarion.tenancy.api_keys import KEY_BYTES, KeyRequest, authenticate, create_key
from clarion.tenancy.provision import NewTenant, create_tenant

DEFAULT_TENANT: Final = "default"


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
    global_url = settings.global_url.get_secret_value() if settings.global_url else report.global_url
    await apply_schema(global_url)
    pools = await open_pools(report.urls, size=2, name="clarion-up")
    directory = await open_global_pool(global_url, size=1, name="clarion-up")
    try:
        now_ms = await pools.now_ms()
        tenant = await create_tenant(
            NewTenant(DEFAULT_TENANT, settings.region),
            make_ids(1, now_ms),
            GlobalTenants(directory),
            PostgresTenants(pools, AesVault(master)),
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
