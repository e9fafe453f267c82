"""The guarded way out: what it reaches, and what it does not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest

from clarion.adapters.egress import GuardedFetcher, read_networks
from clarion.adapters.egress.guarded import MAX_BYTES
from clarion.kernel.errors import ClarionError, Refused, Transient

LOOPBACK: Final = read_networks("127.0.0.0/8")

PRIVATE: Final = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",  # noqa: S104  nothing is bound to it
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001::1]",
    "localhost",
]


@asynccontextmanager
async def answering(
    answer: bytes | Callable[[asyncio.StreamWriter], None],
) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that answers every request with these bytes; its URL, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(answer, bytes):
                writer.write(answer)
                return
            answer(writer)
            await reader.read()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys?x=1", asked


def loose(host: str) -> list[str]:
    """What a resolver makes of the odd forms of an address."""
    return ["127.0.0.1" if host == "localhost" else socket.inet_ntoa(socket.inet_aton(host))]


@pytest.mark.parametrize("found", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["2600::1", "::1"], []])
async def test_every_address_of_a_name_must_be_public(found: list[str]):
    async with answering(ok(b"{}")) as (url, asked):
        name = url.replace("127.0.0.1", "keys.example.com")
        for scheme in ("http:", "https:"):
            with pytest.raises((Refused, Transient)):
                await GuardedFetcher([], look_up=lambda _: found).fetch(name.replace("http:", scheme))
        assert asked == []


async def test_a_name_is_looked_up_once_and_that_address_is_reached():
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    async with answering(ok(b"{}")) as (url, asked):
        fetcher = GuardedFetcher(LOOPBACK, look_up=lambda _: answers.pop(0))
        assert await fetcher.fetch(url.replace("127.0.0.1", "keys.example.com")) == b"{}"
        assert b"Host: keys.example.com:" in asked[0]
    assert len(answers) == 1


async def test_a_name_that_nobody_knows():
    def fail(_: str) -> list[str]:
        raise OSError

    with pytest.raises(Transient):
        await GuardedFetcher([], look_up=fail).fetch("https://keys.example.com/")


def ok(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", body])


@pytest.mark.parametrize("host", PRIVATE)
async def test_what_is_not_public_is_not_reached(host: str):
    async with answering(ok(b"{}")) as (url, asked):
        port = url.split(":")[2].split("/")[0]
        for scheme in ("http", "https"):
            with pytest.raises(Refused):
                await GuardedFetcher([], look_up=loose).fetch(f"{scheme}://{host}:{port}/keys")
        assert asked == []


async def test_an_allowed_network_is_reached_over_http_too():
    async with answering(ok(b'{"keys":[]}')) as (url, asked):
        assert await GuardedFetcher(LOOPBACK).fetch(url) == b'{"keys":[]}'
        assert asked[0].startswith(b"GET /keys?x=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        ok(b"\x1f\x8b", b"Content-Encoding: gzip"),
        ok(b"x" * (MAX_BYTES + 1)),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n{}",
    ],
)
async def test_only_a_whole_answer_of_bounded_size_will_do(answer: bytes):
    async with answering(answer) as (url, _):
        with pytest.raises(Transient):
            await GuardedFetcher(LOOPBACK).fetch(url)


async def test_a_server_that_never_ends_its_answer_is_left():
    def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")

    async with answering(drip) as (url, _):
        with pytest.raises(Transient):
            await GuardedFetcher(LOOPBACK, within_s=0.3).fetch(url)


async def test_tls_is_held_against_the_name():
    async with answering(ok(b"{}")) as (url, _):
        with pytest.raises(Transient):
            await GuardedFetcher(LOOPBACK, within_s=0.3).fetch(url.replace("http:", "https:"))


async def test_nobody_listens():
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ClarionError):
        await GuardedFetcher(LOOPBACK).fetch(f"http://127.0.0.1:{port}/")
