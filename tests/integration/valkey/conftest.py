"""A Valkey of the module's own, because these tests look behind the adapters, and stop it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.testing.valkey_servers import ValkeyServer, valkey_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey") / "data") as started:
        yield started


@pytest_asyncio.fixture
async def clients(server: ValkeyServer) -> AsyncGenerator[ValkeyClients]:
    server.ask("FLUSHALL")
    connected = await connect(server.url)
    yield connected
    await connected.close()
