"""The global store of the session's server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator

import asyncpg
import pytest

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.testing.database import prepare_databases
from clarion.testing.stores import shared_stores


@pytest.fixture(scope="session")
def global_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Where the global store is."""
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        yield asyncio.run(prepare_databases(stores.postgres_url)).global_url


@pytest.fixture
async def pool(global_url: str) -> AsyncGenerator[asyncpg.Pool]:
    """Connections, for one test."""
    opened = await open_global_pool(global_url, size=4, name="tests")
    yield opened
    await close_global_pool(opened)
