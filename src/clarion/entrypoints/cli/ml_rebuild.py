"""`clarion ml rebuild`: feature records made anew of what the region's database still knows of users."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec
import typer

from clarion.bootstrap import Region, open_region
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.featuring import history_of, live_ports
from clarion.intelligence.features.live import rebuild

PAGE: Final = 1_000


class RebuildOptions(msgspec.Struct, frozen=True):
    """Whose records (`tenant` "": all tenants'), and whether those too who have one (`everybody`)."""

    data: Path
    tenant: str
    everybody: bool
    json: bool


class Rebuilt(msgspec.Struct, frozen=True):
    """How many users were looked at, and of how many there is a record now that was made anew."""

    users: int
    records: int


def rebuild_features(options: RebuildOptions) -> int:
    """Make the records, with progress on stderr; 0. Raises NotFound on an unknown tenant, Transient."""
    done = asyncio.run(_open_and_rebuild(options))
    if options.json:
        typer.echo(msgspec.json.encode(done).decode())
    else:
        typer.echo(f"{done.records} records of {done.users} users were made")
    return 0


async def _open_and_rebuild(options: RebuildOptions) -> Rebuilt:
    async with borrowed_settings(options.data) as settings, open_region(settings, "rebuild") as region:
        tenant_id = None
        if options.tenant:
            tenant_id = await find_tenant(region.tenants, settings.region, options.tenant)
        return await rebuild_all(region, tenant_id, everybody=options.everybody)


async def rebuild_all(region: Region, tenant_id: bytes | None, *, everybody: bool) -> Rebuilt:
    """Make records of a tenant's users (None: of all tenants') page by page; stopped, it can be called again."""
    ports, archive = live_ports(region)
    history = history_of(region)
    after, done = 0, Rebuilt(0, 0)
    while page := await archive.unrecorded(tenant_id, after, PAGE, everybody=everybody):
        made = await rebuild(page, history, ports, region.clock.now_ms())
        found = [user_id for users in page.values() for user_id in users]
        after = max(found)
        done = Rebuilt(done.users + len(found), done.records + made)
        typer.echo(f"{done.users} users, {done.records} records", err=True)
    return done
