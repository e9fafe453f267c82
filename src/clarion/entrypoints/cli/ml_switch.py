"""`clarion ml off` and `clarion ml on`: whether models decide anything, for one tenant or all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec
import typer

from clarion.adapters.postgres.ml_settings import PostgresMlSettings
from clarion.adapters.postgres.pools import Pools
from clarion.bootstrap import open_region
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.operator import as_operator, operator_name
from clarion.kernel.errors import Conflict

ATTEMPTS: Final = 10
"""At settings that somebody else writes meanwhile."""


class SwitchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Whose models (`tenant` "": all tenants'), whether they are to be off, and why."""

    data: Path
    tenant: str
    off: bool
    reason: str


def switch_models(options: SwitchOptions) -> int:
    """Switch, and tell of each tenant; 0. Raises NotFound on an unknown tenant, Conflict, Transient."""
    asyncio.run(_switch(options))
    return 0


async def _switch(options: SwitchOptions) -> None:
    async with borrowed_settings(options.data) as settings, open_region(settings, "cli") as region:
        if options.tenant:
            tenant_id = await find_tenant(region.tenants, settings.region, options.tenant)
            tenants = [(options.tenant, tenant_id)]
        else:
            entries = await region.tenants.list_tenants(settings.region)
            tenants = [(entry.name, entry.tenant_id) for entry in entries]
        word = "off" if options.off else "on"
        for name, tenant_id in tenants:
            was_done = await switch_tenant(region.pools, tenant_id, options)
            typer.echo(f"{name}: models are {word}" if was_done else f"{name}: models were {word} already")


async def switch_tenant(pools: Pools, tenant_id: bytes, options: SwitchOptions) -> bool:
    """Switch one tenant, whoever `options` name; whether it had to be done. Settings written meanwhile are heeded.

    Raises Conflict, Transient.
    """
    store = PostgresMlSettings(pools)
    for _ in range(ATTEMPTS):
        settings, version = await store.current(tenant_id)
        if settings.off == options.off:
            return False
        wanted = msgspec.structs.replace(settings, off=options.off)
        act = ("put_ml_settings", "ml/settings")
        try:
            async with as_operator(pools, tenant_id, act, facts={"off": options.off}, reason=options.reason):
                await store.put(tenant_id, wanted, operator_name(), version)
        except Conflict:
            continue
        return True
    raise Conflict("the settings were written anew each time that they were to be changed")
