"""`clarion tenant` and `clarion key`: who may use an instance."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Column, Table

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.api_keys import PostgresApiKeys
from clarion.adapters.postgres.pools import Pools, open_pools
from clarion.adapters.postgres.tenant_deletion import PostgresTenantDeletion
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.bootstrap import open_region
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.operator import as_operator
from clarion.entrypoints.workers.tenants import remains_of
from clarion.kernel.errors import NotFound
from clarion.kernel.ids import format_id, make_ids
from clarion.keys import global_urls_of, role_urls, vault_of
from clarion.settings import Settings
from clarion.tenancy.api_keys import KEY_BYTES, KeyRequest, create_key
from clarion.tenancy.deletion import check_confirmation, sweep
from clarion.tenancy.model import Environment, TenantEntry
from clarion.tenancy.ports import KeyRecord
from clarion.tenancy.provision import NewTenant, create_tenant

DAY_MS: Final = 86_400_000
SWEEP_EVERY_S: Final = 0.05
ID_WIDTH: Final = 36
"""A UUID's characters."""

PIPE_WIDTH: Final = 240


class NewAccount(msgspec.Struct, frozen=True):
    """A tenant, and the text of the key that was made for it."""

    tenant_id: str
    name: str
    api_key: str


class KeyOptions(msgspec.Struct, frozen=True):
    """What a new key is for. `days` 0: it does not expire."""

    tenant: str
    name: str
    environment: Environment
    scopes: list[str]
    days: int


@asynccontextmanager
async def _opened(data: Path) -> AsyncGenerator[tuple[Settings, Pools]]:
    async with borrowed_settings(data) as settings:
        pools = await open_pools(role_urls(settings), size=2, name="clarion-cli")
        try:
            yield settings, pools
        finally:
            await pools.close()


async def add_tenant(data: Path, name: str, timezone: str = "UTC") -> NewAccount:
    """Make a tenant with its first key. Raises Conflict where the name is another region's."""
    async with _opened(data) as (settings, pools):
        directory = await open_global_pool(*global_urls_of(settings), size=1, name="clarion-cli")
        try:
            now_ms = await pools.now_ms()
            tenant = await create_tenant(
                NewTenant(name, settings.region, timezone),
                make_ids(1, now_ms),
                GlobalTenants(directory),
                PostgresTenants(pools, vault_of(settings, pools, time.monotonic)),
            )
        finally:
            await close_global_pool(directory)
        facts = {"name": name, "timezone": timezone}
        async with as_operator(pools, tenant.tenant_id, ("create_tenant", "tenant"), facts=facts):
            key = await create_key(
                tenant.tenant_id,
                KeyRequest(name="first"),
                PostgresApiKeys(pools),
                chance=os.urandom(KEY_BYTES),
                now_ms=now_ms,
            )
    return NewAccount(format_id(tenant.tenant_id), name, key.text)


async def set_quota(data: Path, tenant: str, per_day: int | None) -> None:
    """Let a tenant have so many notifications accepted a day; None: any number. Raises NotFound."""
    async with _opened(data) as (settings, pools):
        tenant_id = await _find(settings, pools, tenant)
        async with as_operator(pools, tenant_id, ("put_quota", "tenant"), facts={"per_day": per_day}):
            await PostgresTenants(pools, vault_of(settings, pools, time.monotonic)).put_quota(
                tenant_id, per_day
            )


class DeleteOptions(msgspec.Struct, frozen=True):
    """Which tenant to delete, its name once more, and why."""

    data: Path
    tenant: str
    confirm: str
    reason: str


async def delete_tenant(options: DeleteOptions) -> int:
    """Delete a tenant to the end; how many rows it had. Raises NotFound, Invalid where `confirm` is another name.

    Killed, it is gone on with by any worker.
    """
    check_confirmation(options.tenant, options.confirm)
    async with borrowed_settings(options.data) as settings, open_region(settings, "cli") as region:
        tenant_id = await _find(settings, region.pools, options.tenant)
        rows = PostgresTenantDeletion(region.pools)
        act = ("delete_tenant", "tenant")
        async with as_operator(region.pools, tenant_id, act, reason=options.reason):
            deletion = await rows.begin(tenant_id, options.tenant)
        directory = await open_global_pool(*global_urls_of(settings), size=1, name="clarion-cli")
        try:
            remains = remains_of(region, GlobalTenants(directory))
            while True:
                if await sweep(deletion, rows, remains, await region.pools.now_ms()):
                    break
                await asyncio.sleep(SWEEP_EVERY_S)
        finally:
            await close_global_pool(directory)
        return await rows.removed(tenant_id)


async def list_tenants(data: Path) -> list[TenantEntry]:
    """The tenants of the instance, by name."""
    async with _opened(data) as (settings, pools):
        store = PostgresTenants(pools, vault_of(settings, pools, time.monotonic))
        return await store.list_tenants(settings.region)


async def add_key(data: Path, options: KeyOptions) -> str:
    """Make a key for a tenant; its text. Raises NotFound, Invalid on an unknown scope, Conflict on a third live key."""
    async with _opened(data) as (settings, pools):
        tenant_id = await _find(settings, pools, options.tenant)
        now_ms = await pools.now_ms()
        request = KeyRequest(
            options.name,
            options.environment,
            options.scopes,
            now_ms + options.days * DAY_MS if options.days else None,
        )
        keys = PostgresApiKeys(pools)
        facts = {"name": options.name, "environment": options.environment, "scopes": options.scopes}
        async with as_operator(pools, tenant_id, ("create_key", "keys"), facts=facts) as ending:
            minted = await create_key(tenant_id, request, keys, chance=os.urandom(KEY_BYTES), now_ms=now_ms)
            ending.target = f"keys/{minted.key_id}"
    return minted.text


async def list_keys(data: Path, tenant: str) -> list[KeyRecord]:
    """A tenant's keys, newest first. Raises NotFound."""
    async with _opened(data) as (settings, pools):
        return await PostgresApiKeys(pools).list_keys(await _find(settings, pools, tenant))


async def revoke_key(data: Path, tenant: str, key_id: str) -> None:
    """End a key now. Raises NotFound where the tenant has no such key."""
    async with _opened(data) as (settings, pools):
        tenant_id = await _find(settings, pools, tenant)
        async with as_operator(pools, tenant_id, ("revoke_key", f"keys/{key_id}")):
            if not await PostgresApiKeys(pools).revoke_key(tenant_id, key_id):
                raise NotFound(
                    f"{tenant} has no key {key_id}; `clarion key list --tenant {tenant}` shows them"
                )


async def _find(settings: Settings, pools: Pools, name: str) -> bytes:
    store = PostgresTenants(pools, vault_of(settings, pools, time.monotonic))
    return await find_tenant(store, settings.region, name)


def print_tenants(data: Path) -> None:
    """A table of the tenants."""
    table = Table("tenant", _id_column("id"), "home region")
    for entry in asyncio.run(list_tenants(data)):
        table.add_row(entry.name, format_id(entry.tenant_id), entry.home_region)
    _print(table)


def print_keys(data: Path, tenant: str) -> None:
    """A table of a tenant's keys; their texts are not known to anybody."""
    table = Table(_id_column("id"), "name", "ends in", "environment", "scopes", "expires", "revoked")
    for key in asyncio.run(list_keys(data, tenant)):
        table.add_row(
            key.key_id,
            key.name,
            key.last_four,
            key.environment,
            " ".join(key.scopes),
            _day(key.expires_ms),
            _day(key.revoked_ms),
        )
    _print(table)


def _print(table: Table) -> None:
    """Show a table; at full width where no screen limits it, for programs that read it."""
    console = Console()
    (console if console.is_terminal else Console(width=PIPE_WIDTH)).print(table)


def _id_column(name: str) -> Column:
    """A column that is never cut, however narrow the terminal: what it shows is to be copied."""
    return Column(name, min_width=ID_WIDTH, no_wrap=True)


def _day(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
