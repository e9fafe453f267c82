"""`clarion export user`: all that is held about one user, gathered without a worker, as the API would give it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec
import typer

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.bootstrap import Region, open_region
from clarion.compliance.export import Export, ExportPorts, carry_out
from clarion.entrypoints.cli.checkpoint import PRIVATE
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.exporting import export_ports, exports_of
from clarion.kernel.errors import Invalid, NotFound, Permanent
from clarion.kernel.ids import make_ids
from clarion.keys import global_urls_of

NAP_S: Final = 0.5


class ExportUserOptions(msgspec.Struct, frozen=True):
    """About whom, and where the archive goes; None: `USER.zip` here."""

    data: Path
    tenant: str
    user_id: str
    out: Path | None


def export_user(options: ExportUserOptions) -> int:
    """Gather, write the archive where its owner alone reads it, say what is in it; 0. Raises NotFound, Permanent."""
    out = options.out or Path(f"{options.user_id}.zip".replace("/", "_"))
    export = asyncio.run(_export(options, out))
    for step in export.steps:
        given = ", ".join(f"{number} {kind}" for kind, number in step.records.items() if number)
        typer.echo(f"{step.source}: {given or 'nothing'}", err=True)
    typer.echo(f"{out}: {export.size:,} bytes, sha256 {export.sha256.hex()}")
    return 0


async def _export(options: ExportUserOptions, out: Path) -> Export:
    async with borrowed_settings(options.data) as settings, open_region(settings, "export") as region:
        tenant_id = await find_tenant(region.tenants, region.settings.region, options.tenant)
        fresh = make_ids(1, region.clock.now_ms())
        export_id = await exports_of(region).request(tenant_id, fresh, options.user_id)
        if export_id is None:
            raise NotFound("there is no such user")
        pool = await open_global_pool(*global_urls_of(settings), size=1, name="clarion-export")
        try:
            export = await _finished(region, export_ports(region, pool), tenant_id, export_id)
        finally:
            await close_global_pool(pool)
        await _write(region, export, out)
        return export


async def _finished(region: Region, ports: ExportPorts, tenant_id: bytes, export_id: bytes) -> Export:
    """The export, once it is ready: carried out here, or by a worker who was first."""
    while True:
        found = await exports_of(region).read(tenant_id, export_id)
        if found is None or found.state in {"failed", "expired"}:
            raise Permanent(found.problem if found else "the user was erased meanwhile")
        if found.state == "ready":
            return found
        if await carry_out(ports, export_id) is None:
            await asyncio.sleep(NAP_S)


async def _write(region: Region, export: Export, out: Path) -> None:
    partial = out.with_name(f"{out.name}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with os.fdopen(handle, "wb") as sink:
            async for part in exports_of(region).parts(export):
                sink.write(part)
        partial.replace(out)
    except OSError as error:
        raise Invalid(f"{out}: {error.strerror}", "out") from error
