"""Where a tenant's URL may not lead: 200 ways to write it, and names that change their mind.

Each is tried on both ways out, which hold the same guard: the reader of documents (key sets, SNS) and the connections
to providers. A server listens on loopback, to which every name leads, and counts who comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, cast

import pytest

from clarion.adapters.egress import EgressGuard, GuardedFetcher, read_networks
from clarion.adapters.providers.http.exchange import HttpRequest
from clarion.adapters.providers.http.transport import Transport
from clarion.kernel.errors import ClarionError
from tests.attacks.hosts import HOSTS, resolve

SAFE: Final = "127.0.0.2"
"""Stands for an address that may be reached, where the test is about names that change."""

ASKED_AGAIN: Final = 25


@asynccontextmanager
async def listening(address: str, port: int = 0) -> AsyncGenerator[tuple[int, list[str]]]:
    """A server that answers everybody; its port, and who came."""
    came: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(address)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    server = await asyncio.start_server(serve, address, port)
    async with server:
        yield server.sockets[0].getsockname()[1], came


def test_there_are_two_hundred_ways():
    assert len(HOSTS) >= 200


async def test_no_document_is_read_from_where_nobody_may_reach():
    async with listening("127.0.0.1") as (port, came):
        fetcher = GuardedFetcher([], look_up=resolve, within_s=2)
        for host in HOSTS:
            for scheme in ("http", "https"):
                with pytest.raises((ClarionError, ValueError)):
                    await fetcher.fetch(f"{scheme}://{host}:{port}/keys")
        assert came == []


async def test_no_provider_is_called_where_nobody_may_reach():
    guard = EgressGuard([], look_up=resolve)
    transport = Transport(guard.resolve)
    try:
        async with listening("127.0.0.1") as (port, came):
            for host in HOSTS:
                for scheme in ("http", "https"):
                    request = HttpRequest("POST", f"{scheme}://{host}:{port}/send", {}, b"{}")
                    with pytest.raises(ClarionError):
                        await transport.exchange(request, lambda: None, 2)
            assert came == []
    finally:
        await transport.close()


class Rebinding(asyncio.DatagramProtocol):
    """A DNS server whose answers live for no time, and alternate."""

    def __init__(self, answers: list[list[str]]) -> None:
        self._answers = answers
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        found = self._answers[self.asked % len(self._answers)]
        self.asked += 1
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
        records = [
            b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address) for address in found
        ]
        assert self._transport is not None
        self._transport.sendto(head + data[12:] + b"".join(records), addr)


def ask(port: int, host: str) -> list[str]:
    """The addresses of a name as the DNS server at a port says them."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
    query = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.sendto(query, ("127.0.0.1", port))
        answer = asking.recv(512)
    count = struct.unpack(">H", answer[6:8])[0]
    records = answer[len(query) :]
    return [socket.inet_ntoa(records[16 * i + 12 : 16 * i + 16]) for i in range(count)]


@asynccontextmanager
async def rebinding(*answers: list[str]) -> AsyncGenerator[tuple[int, Rebinding]]:
    """A DNS server on this machine; its port, and the server."""
    loop = asyncio.get_running_loop()
    made = await loop.create_datagram_endpoint(lambda: Rebinding(list(answers)), local_addr=("127.0.0.1", 0))
    transport, server = made
    try:
        yield transport.get_extra_info("sockname")[1], server
    finally:
        transport.close()


@pytest.mark.parametrize(
    "answers",
    [
        ([SAFE], ["127.0.0.1"]),
        (["127.0.0.1"], [SAFE]),
        ([SAFE, "127.0.0.1"], [SAFE]),
        ([SAFE], [SAFE], ["127.0.0.1"]),
    ],
)
async def test_a_name_that_changes_its_mind_leads_only_where_it_was_checked(answers: tuple[list[str], ...]):
    async with (
        listening("127.0.0.1") as (port, caught),
        listening(SAFE, port) as (_, came),
        rebinding(*answers) as (dns, server),
    ):
        networks = read_networks(f"{SAFE}/32")
        fetcher = GuardedFetcher(networks, look_up=lambda host: ask(dns, host))
        guard = EgressGuard(networks, look_up=lambda host: ask(dns, host))
        reached = 0
        for _ in range(ASKED_AGAIN):
            transport = Transport(guard.resolve)
            request = HttpRequest("POST", f"http://hooks.example.com:{port}/send", {}, b"{}")
            for attempt in (
                fetcher.fetch(f"http://hooks.example.com:{port}/"),
                transport.exchange(request, lambda: None, 5),
            ):
                with contextlib.suppress(ClarionError):
                    await attempt
                    reached += 1
            await transport.close()
        assert caught == []
        assert len(came) == reached > 0
        assert server.asked == 2 * ASKED_AGAIN
