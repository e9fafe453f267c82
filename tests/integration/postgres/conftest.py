"""One migrated server a session, one tenant a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator

import pytest

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.pools import open_pools
from clarion.testing.database import PreparedDatabases, prepare_databases
from clarion.testing.stores import shared_stores
from tests.integration.postgres.support import Tenant, World


@pytest.fixture(scope="session")
def admin_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The superuser's URL: for migrations only."""
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        yield stores.postgres_url


@pytest.fixture(scope="session")
def databases(admin_url: str) -> PreparedDatabases:
    """Where the roles connect."""
    return asyncio.run(prepare_databases(admin_url))


@pytest.fixture
async def world(databases: PreparedDatabases) -> AsyncGenerator[World]:
    """The stores, for one test."""
    pools = await open_pools(databases.urls, size=6, name="tests")
    directory = await open_global_pool(databases.global_url, size=2, name="tests")
    yield World(pools, GlobalTenants(directory))
    await close_global_pool(directory)
    await pools.close()


@pytest.fixture
async def tenant(world: World) -> Tenant:
    """A tenant of this test's own."""
    return await world.tenant()
