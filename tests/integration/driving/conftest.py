"""Driving runs over the real stores; effects and private contexts are in memory."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from clarion.adapters.globaldb.instances import GlobalInstances
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.valkey.client import connect
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.testing.database import prepare_databases
from clarion.testing.stores import SharedStores, shared_stores
from tests.integration.driving.support import Track


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Generator[SharedStores]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as started:
        yield started


@pytest_asyncio.fixture
async def track(stores: SharedStores) -> AsyncGenerator[Track]:
    """Somewhere for runs to be driven, in a region of the test's own."""
    region = uuid.uuid4().hex
    pool = await open_global_pool(
        (await prepare_databases(stores.postgres_url)).global_url, size=4, name="tests"
    )
    clients = await connect(stores.valkey_url)
    yield Track(pool, clients, GlobalInstances(pool, region), ValkeyContinuations(clients, region), region)
    await clients.close()
    await close_global_pool(pool)
