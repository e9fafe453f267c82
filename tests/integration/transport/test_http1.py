"""Reaching vendors over HTTP/1.1, and everything that goes wrong on the way, against a real server."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import math
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from clarion.adapters.egress import EgressGuard
from clarion.adapters.providers.base import Cut, Unavailable, Unsendable
from clarion.adapters.providers.http.bodies import MAX_REPLY
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.pool import PoolLimits
from clarion.adapters.providers.http.transport import Transport
from clarion.testing.outside import loopback_transport
from clarion.testing.vendors.certificates import Authority
from clarion.testing.vendors.wire import DROP, HANG, Drip, Raw, VendorServer, serve

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


class Parrot:
    """Says what it was told."""

    def answer(self, request: HttpRequest) -> HttpReply:
        return HttpReply(200, {"X-Parrot": "yes"}, request.body)


class Leaving:
    """Counts how often bytes were about to leave."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest_asyncio.fixture
async def server() -> AsyncGenerator[VendorServer]:
    async with serve(Parrot()) as server:
        yield server


@pytest_asyncio.fixture
async def transport() -> AsyncGenerator[Transport]:
    transport = loopback_transport()
    yield transport
    await transport.close()


@pytest.fixture
def leaving() -> Leaving:
    return Leaving()


async def ask(transport: Transport, server: VendorServer, body: bytes = b"hello", **more: Any) -> HttpReply:
    within_s: float = more.pop("within_s", 5.0)
    request = HttpRequest("POST", f"{server.url}/v1/say?x=1", more.pop("headers", {}), body)
    return await transport.exchange(request, more.pop("leaving", Leaving()), within_s)


async def test_a_request_arrives_as_it_was_made_and_its_reply_comes_back(
    server: VendorServer, transport: Transport, leaving: Leaving
):
    body = bytes(range(256)) * 1000
    reply = await ask(transport, server, body, headers={"X-Name": "Zoë"}, leaving=leaving, within_s=math.inf)
    assert (reply.status, reply.body, reply.headers["x-parrot"]) == (200, body, "yes")
    request = server.requests[0]
    assert (request.method, request.url) == ("POST", f"{server.url}/v1/say?x=1")
    assert request.headers["Host"] == server.url.removeprefix("http://")
    assert request.headers["X-Name"] == "Zoë"
    assert leaving.count == 1


async def test_connections_are_kept_and_no_more_of_them_than_needed(
    server: VendorServer, transport: Transport
):
    for _ in range(20):
        await ask(transport, server)
    assert server.connections == 1
    await asyncio.gather(*(ask(transport, server) for _ in range(10)))
    await asyncio.gather(*(ask(transport, server) for _ in range(10)))
    assert server.connections <= 10
    assert transport.connections == server.connections


async def test_who_finds_all_connections_lent_waits_for_one(server: VendorServer):
    transport = Transport(EgressGuard(LOOPBACK).resolve, limits=PoolLimits(size=2))
    replies = await asyncio.gather(*(ask(transport, server, b"%d" % n) for n in range(50)))
    assert [reply.body for reply in replies] == [b"%d" % n for n in range(50)]
    assert server.connections == 2
    server.script.extend([HANG, HANG])
    stuck = [asyncio.create_task(ask(transport, server)) for _ in range(2)]
    await server.until(lambda: not server.script)
    with pytest.raises(Unavailable) as refusal:
        await ask(transport, server, within_s=0.05)
    assert refusal.value.code == "unreachable"
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert (await ask(transport, server)).body == b"hello"
    await transport.close()


async def test_a_connection_that_died_while_unused_costs_nothing(
    server: VendorServer, transport: Transport, leaving: Leaving
):
    await ask(transport, server)
    server.cut_idle()
    await server.until(lambda: not server.sessions)
    assert (await ask(transport, server, leaving=leaving)).status == 200
    assert (server.connections, leaving.count, len(server.requests)) == (2, 1, 2)


@pytest.mark.parametrize(
    "farewell", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"], ids=["", "408"]
)
async def test_a_kept_connection_that_dies_under_a_request_leaves_it_in_doubt_and_is_not_repeated(
    server: VendorServer, transport: Transport, leaving: Leaving, farewell: bytes
):
    await ask(transport, server)
    server.script.append(Raw(b"", "close"))
    with pytest.raises(Cut) as cut:
        await ask(transport, server, leaving=leaving)
    assert (cut.value.code, leaving.count, len(server.requests)) == ("disconnected", 1, 2)
    # What a server says to nobody ends the connection, and answers no later request.
    server.script.append(Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + farewell))
    assert (await ask(transport, server)).body == b"ok"
    assert (await ask(transport, server)).body == b"hello"


@pytest.mark.parametrize("seconds", [0, 1], ids=str)
async def test_connections_go_after_the_time_that_the_server_names(
    server: VendorServer, transport: Transport, seconds: int
):
    server.script.append(HttpReply(200, {"Keep-Alive": f"timeout={seconds}, max=100"}, b""))
    await ask(transport, server)
    await ask(transport, server)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("step", "body"),
    [
        (
            Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            b"abcde",
        ),
        (Raw(b"HTTP/1.1 200 OK\r\n\r\nto the end", "close"), b"to the end"),
        (Raw(b"HTTP/1.0 200 OK\r\n\r\nold", "close"), b"old"),
        (Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), b""),
        (Raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), b"ok"),
        (HttpReply(200, {"Content-Encoding": "gzip"}, gzip.compress(b"packed", mtime=0)), b"packed"),
        (HttpReply(200, {"Content-Encoding": "deflate"}, zlib.compress(b"packed")), b"packed"),
        (HttpReply(502, {"Content-Type": "text/html"}, b"<html>Bad Gateway"), b"<html>Bad Gateway"),
        (HttpReply(502, {"Content-Encoding": "gzip"}, b"no gzip"), b""),
        (HttpReply(502, {"Content-Encoding": "br"}, b"whatever"), b""),
        (Raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf", "close"), b"half"),
        (HttpReply(307, {"Location": "http://169.254.169.254/"}, b""), b""),
    ],
    ids=str,
)
async def test_replies_of_every_form_are_read_and_redirects_are_replies(
    server: VendorServer, transport: Transport, step: Any, body: bytes
):
    server.script.append(step)
    assert (await ask(transport, server)).body == body
    assert len(server.requests) == 1
    assert (await ask(transport, server)).body == b"hello"


BOMB = zlib.compress(b"\0" * (64 << 20), 9)


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (DROP, "disconnected"),
        (Raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "malformed_reply"),
        (Raw(b"HTTP/1.1 20"), "deadline"),
        (Raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "malformed_reply"),
        (
            Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * (2 << 20)),
            "malformed_reply",
        ),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "malformed_reply"),
        (
            Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nxx"),
            "malformed_reply",
        ),
        (
            Raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
            "malformed_reply",
        ),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "close"), "truncated_reply"),
        (
            Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "close"),
            "truncated_reply",
        ),
        (
            HttpReply(200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 99, mtime=0)[:-9]),
            "truncated_reply",
        ),
        (HttpReply(200, {"Content-Encoding": "gzip"}, b"no gzip"), "unreadable_reply"),
        (HttpReply(200, {"Content-Encoding": "br"}, b"whatever"), "unreadable_reply"),
        (HttpReply(200, {"Content-Encoding": "deflate"}, BOMB), "reply_too_large"),
        (HttpReply(200, {}, b"x" * (10 << 20)), "reply_too_large"),
        (HANG, "deadline"),
        (Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "deadline"),
        (Drip(b"HTTP/1.1 200 OK\r\nX-Drip: "), "deadline"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_is_no_reply_leaves_the_request_in_doubt_within_the_time(
    server: VendorServer, transport: Transport, step: Any, code: str, leaving: Leaving
):
    server.script.append(step)
    with pytest.raises(Cut) as cut:
        await ask(transport, server, within_s=0.2 if code == "deadline" else 10, leaving=leaving)
    assert (cut.value.code, leaving.count) == (code, 1)
    # The next request has a connection of its own, and its own reply.
    assert (await ask(transport, server)).body == b"hello"


async def test_of_a_large_error_page_the_beginning_is_read(server: VendorServer, transport: Transport):
    server.script.append(HttpReply(503, {}, b"x" * (10 << 20)))
    reply = await ask(transport, server)
    assert (reply.status, len(reply.body)) == (503, MAX_REPLY)


async def test_a_second_reply_to_one_request_answers_no_other(server: VendorServer, transport: Transport):
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
    server.script.append(Raw(first + b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"))
    reply = await ask(transport, server)
    assert (reply.body, "x-evil" in reply.headers) == (b"first", False)
    assert (await ask(transport, server)).body == b"hello"


async def test_a_server_that_answers_early_is_heard(server: VendorServer, transport: Transport):
    """413 to a large body, while that is still under way: the connection is given up, the reply counts."""
    server.script.append(HttpReply(413, {}, b"too large"))
    assert (await ask(transport, server, b"x" * (30 << 20))).status == 413


async def test_a_cancelled_request_leaves_no_reply_behind_for_the_next(
    server: VendorServer, transport: Transport
):
    server.latency_s = 0.05
    call = asyncio.create_task(ask(transport, server, b"cancelled"))
    await server.until(lambda: len(server.requests) == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await ask(transport, server, b"next")).body == b"next"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/", "unreachable"),
        ("http://10.0.0.1/", "egress"),
        ("https://10.0.0.1/", "egress"),
        ("http://[fe80::1]/", "egress"),
        ("https://169.254.169.254/latest/meta-data", "egress"),
        ("http://93.184.215.14/", "egress"),
    ],
    ids=str,
)
async def test_where_nothing_left_the_request_may_be_made_again(
    transport: Transport, url: str, code: str, leaving: Leaving
):
    with pytest.raises(Unavailable) as refusal:
        await transport.exchange(HttpRequest("POST", url, {}, b""), leaving, 5.0)
    assert (refusal.value.code, leaving.count) == (code, 0)


async def test_the_name_that_was_checked_is_the_one_connected_to(server: VendorServer):
    """A name that leads elsewhere the second time (rebinding) leads nowhere: it is looked up once."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    transport = Transport(EgressGuard(LOOPBACK, lambda _: next(answers)).resolve)
    request = HttpRequest("POST", server.url.replace("127.0.0.1", "vendor.example"), {}, b"x")
    assert (await transport.exchange(request, Leaving(), 5.0)).status == 200
    assert (await transport.exchange(request, Leaving(), 5.0)).status == 200
    assert server.requests[0].headers["Host"].startswith("vendor.example:")
    await transport.close()


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://127.0.0.1/", {}),
        ("http://user@127.0.0.1/", {}),
        ("http://127.0.0.1:99999/", {}),
        ("http://127.0.0.1/a b", {}),
        ("http://127.0.0.1/\r\nX: y", {}),
        ("http://127.0.0.1/é", {}),
        ("http://127.0.0.1/#fragment", {}),
        ("//127.0.0.1/", {}),
        ("http://127.0.0.1/", {"X": "a\r\nTransfer-Encoding: chunked"}),
        ("http://127.0.0.1/", {"X": "a\nb"}),
        ("http://127.0.0.1/", {"X\r\nY": "a"}),
        ("http://127.0.0.1/", {"X": "a\0b"}),
        ("http://127.0.0.1/", {"X": "€"}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_nothing_slips_into_a_request(
    transport: Transport, url: str, headers: dict[str, str], leaving: Leaving, *, http2: bool
):
    with pytest.raises(Unsendable):
        await transport.exchange(HttpRequest("POST", url, headers, b"", http2), leaving, 5.0)
    assert leaving.count == 0


async def test_certificates_are_held_against_the_name():
    authority = Authority()
    async with (
        serve(Parrot(), authority.server("127.0.0.1")) as good,
        serve(Parrot(), authority.server("other.example")) as wrong,
    ):
        trusting, strict = loopback_transport(authority.pem), loopback_transport()
        assert (await ask(trusting, good)).body == b"hello"
        assert (await ask(trusting, good)).body == b"hello"
        assert good.connections == 1
        leaving = Leaving()
        for transport, server in ((trusting, wrong), (strict, good)):
            with pytest.raises(Unavailable) as refusal:
                await ask(transport, server, leaving=leaving)
            assert refusal.value.code == "certificate"
        assert leaving.count == 0
        await trusting.close()
        await strict.close()


async def test_a_server_without_encryption_is_told_apart(server: VendorServer, transport: Transport):
    request = HttpRequest("POST", server.url.replace("http:", "https:"), {}, b"")
    with pytest.raises(Unavailable) as refusal:
        await transport.exchange(request, Leaving(), 5.0)
    assert refusal.value.code in {"tls", "unreachable"}


async def test_after_close_nothing_leaves(server: VendorServer, transport: Transport):
    await ask(transport, server)
    await asyncio.gather(transport.close(), transport.close())
    with pytest.raises(Unavailable) as refusal:
        await ask(transport, server)
    assert (refusal.value.code, len(server.requests)) == ("closed", 1)
    assert transport.connections == 0
