from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

DOCUMENTATION_NET = "192.0.2.1"  # RFC 5737: never routed


def test_a_connection_to_the_outside_fails_the_test():
    with socket.socket() as outside, pytest.raises(pytest.fail.Exception, match="tests stay on loopback"):
        outside.connect((DOCUMENTATION_NET, 80))


def test_a_datagram_to_the_outside_fails_the_test():
    kind = socket.SOCK_DGRAM
    with socket.socket(type=kind) as outside, pytest.raises(pytest.fail.Exception, match="loopback"):
        outside.sendto(b"", (DOCUMENTATION_NET, 53))


def test_a_name_look_up_fails_the_test():
    with pytest.raises(pytest.fail.Exception, match=r"mail\.example"):
        socket.getaddrinfo("mail.example", 25)


async def test_asyncio_is_guarded_too():
    with pytest.raises(pytest.fail.Exception, match="loopback"):
        await asyncio.open_connection(DOCUMENTATION_NET, 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
async def test_loopback_is_free(host: str):
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, host, 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(host, port)
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()


def test_unix_sockets_are_free(tmp_path: Path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
