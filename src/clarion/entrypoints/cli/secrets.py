"""`clarion secrets`: the master key and tenants' keys changed without an interruption."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import typer

from clarion.adapters.postgres.pools import Pools, open_pools
from clarion.adapters.postgres.subject_keys import PostgresSubjectKeys
from clarion.adapters.postgres.tenant_keys import PostgresKeyCensus, PostgresSealedRows, PostgresTenantKeys
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.audience.rewrapping import rewrap_users
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.operator import as_operator
from clarion.keys import (
    find_root,
    kms_of,
    master_keys_of,
    rewrap_root,
    role_urls,
    sealer_of,
    vault_of,
)
from clarion.settings import Settings
from clarion.tenancy.secrets import Resealed, change_key, renew_format, rewrap_tenants


class RotateOptions(msgspec.Struct, frozen=True):
    """The command's options. `tenant` None: the master key takes the place of the one before it, for all."""

    data: Path
    tenant: str | None
    reason: str


def run_rotate(options: RotateOptions) -> int:
    """Change keys, and tell how far it is; 0. Raises NotFound, and Permanent where something does not open."""
    asyncio.run(_rotate(options))
    return 0


def run_status(data: Path) -> int:
    """Tell what each master key still wraps; 1 where one beside the present one does."""
    return asyncio.run(_status(data))


async def _rotate(options: RotateOptions) -> None:
    async with _opened(options.data) as (settings, pools):
        if options.tenant is None:
            await rotate_master(settings, pools)
        else:
            done = await _rotate_tenant(settings, pools, options)
            typer.echo(
                f"{options.tenant} seals with key {done.number}: {done.secrets} secrets sealed anew, "
                f"{done.retired} old keys removed"
            )


async def _rotate_tenant(settings: Settings, pools: Pools, options: RotateOptions) -> Resealed:
    vault = vault_of(settings, pools, time.monotonic)
    name = options.tenant or ""
    tenant_id = await find_tenant(PostgresTenants(pools, vault), settings.region, name)
    act = ("rotate_secrets", "tenant")
    async with as_operator(pools, tenant_id, act, reason=options.reason):
        return await change_key(tenant_id, PostgresTenantKeys(pools), PostgresSealedRows(pools), vault)


async def rotate_master(settings: Settings, pools: Pools) -> None:
    """Wrap everything with the present master key, and seal what earlier releases sealed with no tenant's key."""
    keys = master_keys_of(settings)
    root, kms = await find_root(pools, keys), kms_of(keys)
    await rewrap_root(pools, keys)
    await _tell("tenants' keys", rewrap_tenants(PostgresTenantKeys(pools), kms))
    await _tell("users' keys", rewrap_users(PostgresSubjectKeys(pools), sealer_of(keys, root)))
    vault, rows = vault_of(settings, pools, time.monotonic), PostgresSealedRows(pools)
    tenants = await PostgresTenants(pools, vault).list_tenants(settings.region)
    await _tell("secrets", renew_format([entry.tenant_id for entry in tenants], rows, vault))


async def _tell(what: str, portions: AsyncIterator[int]) -> None:
    """Follow a rotation to its end, with a line about it."""
    total = 0
    async for portion in portions:
        total += portion
        if portion:
            typer.echo(f"{what}: {total:,} so far", err=True)
    typer.echo(f"{what}: {total:,} renewed")


async def _status(data: Path) -> int:
    async with _opened(data) as (settings, pools):
        present = master_keys_of(settings).current.number
        counts = await PostgresKeyCensus(pools).count()
    for number, count in sorted(counts.items()):
        mark = "the present master key" if number == present else "another master key"
        typer.echo(f"{number.hex()}  {count:>12,} keys  {mark}")
    return int(any(number != present for number in counts))


@asynccontextmanager
async def _opened(data: Path) -> AsyncGenerator[tuple[Settings, Pools]]:
    async with borrowed_settings(data) as settings:
        pools = await open_pools(role_urls(settings), size=2, name="clarion-secrets")
        try:
            yield settings, pools
        finally:
            await pools.close()
