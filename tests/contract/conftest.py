"""The API as a process of its own, as `/openapi.json` describes it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from clarion.testing.stores import SharedStores, shared_stores
from tests.e2e.api.support import ApiProcess
from tests.integration.api.support import Api, Caller, running_api


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Generator[SharedStores]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as started:
        yield started


@pytest_asyncio.fixture
async def api(stores: SharedStores) -> AsyncGenerator[Api]:
    """An API in this process: to prepare tenants, and to look at the stores."""
    async with running_api(stores.postgres_url, stores.valkey_url) as started:
        yield started


@pytest_asyncio.fixture
async def caller(api: Api) -> Caller:
    """A tenant of the test's own."""
    return await api.tenant()


@pytest_asyncio.fixture
async def process(stores: SharedStores, api: Api) -> AsyncGenerator[ApiProcess]:
    """The process under test, serving. What is sent to it may name any host: in this process that would be an error."""
    del api  # the server is prepared by then
    started = await ApiProcess.start(stores)
    yield started
    await started.end()
