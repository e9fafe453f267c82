"""The real stores that the suites run against, beside the fakes: one Valkey, and a cluster of three."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.testing.stores import shared_stores
from clarion.testing.valkey_servers import valkey_cluster


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        yield stores.valkey_url


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes[0].url


@pytest.fixture(scope="session", params=["memory", "valkey", "cluster"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which of a port's implementations a test meets."""
    return request.param


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clients(kind: str, request: pytest.FixtureRequest) -> AsyncGenerator[ValkeyClients | None]:
    """Clients of the real store, or None for the fake. Tests that use it run in the session's loop.

    One for all: to explore a cluster costs each client 0.1 s.
    """
    if kind == "memory":
        yield None
        return
    url: str = request.getfixturevalue(f"{kind}_url")
    found = await connect(url)
    assert found.is_cluster == (kind == "cluster")
    yield found
    await found.close()
