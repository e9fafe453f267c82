"""Reaching vendors over HTTP/2, against a server made of another's implementation (h2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.bodies import MAX_REPLY
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.transport import Transport
from clarion.testing.outside import loopback_transport
from clarion.testing.vendors.certificates import Authority
from clarion.testing.vendors.wire2 import Http2Server, serve


class Parrot:
    """Says what it was told."""

    def answer(self, request: HttpRequest) -> HttpReply:
        return HttpReply(200, {"X-Parrot": "yes"}, request.body)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest_asyncio.fixture
async def server(authority: Authority) -> AsyncGenerator[Http2Server]:
    async with serve(Parrot(), authority.server("127.0.0.1")) as server:
        yield server


@pytest_asyncio.fixture
async def transport(authority: Authority) -> AsyncGenerator[Transport]:
    transport = loopback_transport(authority.pem)
    yield transport
    await transport.close()


async def ask(transport: Transport, url: str, body: bytes = b"hello", within_s: float = 5.0) -> HttpReply:
    request = HttpRequest("POST", f"{url}/3/device/abc", {"apns-topic": "app"}, body, http2=True)
    return await transport.exchange(request, lambda: None, within_s)


async def test_many_streams_share_one_connection(server: Http2Server, transport: Transport):
    replies = await asyncio.gather(*(ask(transport, server.url, b"%d" % n) for n in range(200)))
    assert [reply.body for reply in replies] == [b"%d" % n for n in range(200)]
    assert (server.connections, server.requests[0].headers["apns-topic"]) == (1, "app")
    assert replies[0].headers["x-parrot"] == "yes"


async def test_http2_is_spoken_at_once_where_nothing_is_encrypted(transport: Transport):
    async with serve(Parrot()) as server:
        assert (await ask(transport, server.url)).body == b"hello"


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("drop", Cut, "disconnected"),
        ("reset", Cut, "disconnected"),
        ("truncate", Cut, "disconnected"),
        ("hang", Cut, "deadline"),
        ("goaway", Unavailable, "going_away"),
        ("refuse", Unavailable, "going_away"),
    ],
    ids=str,
)
async def test_what_is_no_reply_is_told_from_what_was_not_looked_at(
    server: Http2Server, transport: Transport, fault: Any, error: type[Cut | Unavailable], code: str
):
    server.script.extend([fault] * 20)
    with pytest.raises(error) as failure:
        await ask(transport, server.url, within_s=0.3 if code == "deadline" else 10)
    assert failure.value.code == code
    # Nothing on which the server may have acted was repeated.
    assert error is Unavailable or len(server.requests) == 1
    server.script.clear()
    assert (await ask(transport, server.url)).status == 200


async def test_one_refusal_is_not_even_noticed(server: Http2Server, transport: Transport):
    server.script.append("goaway")
    assert (await ask(transport, server.url)).status == 200


@pytest.mark.parametrize("status", [307, 410, 503], ids=str)
async def test_statuses_are_replies_and_nothing_is_followed(
    server: Http2Server, transport: Transport, status: int
):
    server.script.append(HttpReply(status, {"Location": "https://127.0.0.1:1/"}, b"{}"))
    assert (await ask(transport, server.url)).status == status


async def test_bodies_are_bounded(server: Http2Server, transport: Transport):
    large = b"x" * (3 << 20)
    server.script.append(HttpReply(200, {}, large))
    with pytest.raises(Cut) as cut:
        await ask(transport, server.url)
    assert cut.value.code == "reply_too_large"
    server.script.append(HttpReply(503, {}, large))
    assert len((await ask(transport, server.url)).body) == MAX_REPLY


async def test_certificates_addresses_and_absence_are_told_apart(server: Http2Server, authority: Authority):
    strict, trusting = loopback_transport(), loopback_transport(authority.pem)
    async with serve(Parrot(), authority.server("other.example")) as wrong:
        for transport, url, code in (
            (strict, server.url, "certificate"),
            (trusting, wrong.url, "certificate"),
            (trusting, "https://127.0.0.1:1", "unreachable"),
            (trusting, "https://10.0.0.1", "egress"),
        ):
            with pytest.raises(Unavailable) as refusal:
                await ask(transport, url)
            assert refusal.value.code == code
    await strict.close()
    await trusting.close()


async def test_an_authority_that_the_machine_trusts_is_trusted(
    server: Http2Server, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = tmp_path / "certificates.pem"
    bundle.write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transport = loopback_transport()
    assert (await ask(transport, server.url)).status == 200
    await transport.close()


async def test_a_cancelled_stream_leaves_the_connection_to_the_others(
    server: Http2Server, transport: Transport
):
    server.script.append("hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ask(transport, server.url)
    assert (await ask(transport, server.url)).status == 200
    assert server.connections == 1
