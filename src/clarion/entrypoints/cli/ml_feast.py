"""`clarion ml feast`: a tenant's features, as they were at instants of its history, as a repository of Feast's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import typer

from clarion.adapters.feast.repository import write_repository
from clarion.bootstrap import Region, open_region
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.featuring import history_of
from clarion.intelligence.features import RecordArray
from clarion.intelligence.features.history import replay
from clarion.intelligence.features.signs import Signs
from clarion.kernel.local_time import DAY_MS


class FeastOptions(msgspec.Struct, frozen=True):
    """Whose features go where. `redis`: Feast's online store, in Feast's spelling; `every_d`: days between instants."""

    data: Path
    folder: Path
    tenant: str
    project: str
    redis: str
    days: int
    every_d: int


def export_features(options: FeastOptions) -> int:
    """Write the repository; 0. Raises NotFound on an unknown tenant, Invalid on a wrong project, Transient."""
    snapshots = asyncio.run(_snapshots(options))
    rows = write_repository(options.folder, options.project, options.redis, snapshots)
    typer.echo(f"{rows:,} rows of {len(snapshots)} instants are in {options.folder}")
    return 0


async def _snapshots(options: FeastOptions) -> list[tuple[int, RecordArray]]:
    """What was known of everybody at each instant, by what came before it."""
    async with borrowed_settings(options.data) as settings, open_region(settings, "feast") as region:
        tenant_id = await find_tenant(region.tenants, settings.region, options.tenant)
        now_ms = region.clock.now_ms()
        begin_ms = now_ms - options.days * DAY_MS
        instants = list(range(now_ms, begin_ms, -options.every_d * DAY_MS))[::-1]
        found: list[tuple[int, RecordArray]] = []
        async for at_ms, memory in replay(_portions(region, tenant_id, begin_ms, now_ms), instants):
            found.append((at_ms, np.array(memory.records)))
            typer.echo(f"{len(found)} of {len(instants)} instants, {len(memory)} users", err=True)
        return found


def _portions(region: Region, tenant_id: bytes, begin_ms: int, end_ms: int) -> AsyncIterator[Signs]:
    return history_of(region).signs(tenant_id, begin_ms, end_ms)
