"""A vendor's double over HTTP/2 as fast as benches need it (24 000 requests/s a core; needs `granian`, a bench extra).

No faults can be scripted here: `wire2` has those, at a seventh of the speed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from clarion.adapters.providers.http.exchange import HttpRequest
from clarion.testing.vendors.double import Answers


class _Headers(Protocol):
    def items(self) -> Iterable[tuple[str, str]]: ...


class _Scope(Protocol):
    method: str
    path: str
    client: str
    headers: _Headers


class _Exchange(Protocol):
    async def __call__(self) -> bytes: ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class FastServer:
    """A double, served. `clients`: the other ends of all connections so far."""

    def __init__(self, double: Answers, port: int) -> None:
        self._double = double
        self.url = f"http://127.0.0.1:{port}"
        self.clients: set[str] = set()

    async def answer(self, scope: _Scope, exchange: _Exchange) -> None:
        """One request, as RSGI hands it over."""
        self.clients.add(scope.client)
        body = await exchange()
        request = HttpRequest(
            scope.method, f"{self.url}{scope.path}", dict(scope.headers.items()), body, http2=True
        )
        reply = self._double.answer(request)
        exchange.response_bytes(reply.status, list(reply.headers.items()), reply.body)


@asynccontextmanager
async def serve(double: Answers) -> AsyncGenerator[FastServer]:
    """The double on a free port of 127.0.0.1 until the block ends, over HTTP/2 without encryption."""
    port = _free_port()
    fast = FastServer(double, port)
    server = Server(
        fast.answer,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http2,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    await _answers(port)
    try:
        yield fast
    finally:
        server.stop()
        await serving


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int) -> None:
    """Return once a connection is taken; the server gives no signal of it."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
