"""What exporting a user takes of a region: for the worker that does it, and for the command that does it by hand."""

from __future__ import annotations

import asyncpg

from clarion.adapters.globaldb.journey_privacy import RunSource
from clarion.adapters.postgres.export_sources import table_sources
from clarion.adapters.postgres.exports import PostgresExports
from clarion.adapters.valkey.export_sources import ContextSource
from clarion.bootstrap import Region
from clarion.compliance.export import ExportPorts


def exports_of(region: Region) -> PostgresExports:
    """The region's exports and their archives."""
    return PostgresExports(region.pools, region.keyring, region.sealer)


def export_ports(region: Region, global_pool: asyncpg.Pool) -> ExportPorts:
    """The exports with all sources. `global_pool`: of the global store.

    A store that comes later has its place here once it passes the suite.
    """
    sources = (
        *table_sources(region.pools, region.keyring, region.sealer),
        RunSource(global_pool),
        ContextSource(region.contexts),
    )
    return ExportPorts(store=exports_of(region), sources=sources, clock=region.clock)
