"""An API and a worker over the real stores, in this process. The tests hand the worker its deliveries themselves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from clarion.bootstrap import Worker, open_worker
from clarion.entrypoints.workers.main import Unwatched
from clarion.testing.stores import SharedStores, shared_stores
from tests.integration.api.support import Api, Caller, running_api


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Generator[SharedStores]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(stores: SharedStores) -> AsyncGenerator[Api]:
    async with running_api(stores.postgres_url, stores.valkey_url) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def caller(api: Api) -> Caller:
    """A tenant of the test's own."""
    return await api.tenant()


@pytest_asyncio.fixture(loop_scope="session")
async def other(api: Api) -> Caller:
    """Another tenant, who must see nothing of the first."""
    return await api.tenant()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(api: Api) -> AsyncGenerator[Worker]:
    async with open_worker(api.gateway.region.settings, Unwatched(), asyncio.Event().is_set) as opened:
        yield opened
