"""A vendor's double on a port of this machine, over HTTP/1.1: what it answers, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, Literal, TypeAlias, cast

import httptools
import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Answers


class Raw(msgspec.Struct, frozen=True):
    """Bytes in place of a reply, and what becomes of the connection then."""

    data: bytes
    then: Literal["keep", "close", "hang"] = "keep"


class Drip(msgspec.Struct, frozen=True):
    """The beginning of a reply, and then a byte at a time, for ever."""

    head: bytes
    every_s: float = 0.01


Step: TypeAlias = HttpReply | Raw | Drip
"""What a request gets instead of the double's own answer."""

DROP: Final = Raw(b"", "close")
HANG: Final = Raw(b"", "hang")

_Transport: TypeAlias = asyncio.Transport


class VendorServer:
    """A double, served. `script`: what the next requests get instead, one each. `latency_s`: before each reply.

    `per_s`: requests above it get 429 with `Retry-After` (0: no limit). `requests`: all that came, the latest 10 000.
    `connections`: how many were made so far.
    """

    def __init__(self, double: Answers) -> None:
        self.double = double
        self.script: deque[Step] = deque()
        self.latency_s = 0.0
        self.per_s = 0.0
        self.requests: deque[HttpRequest] = deque(maxlen=10_000)
        self.connections = 0
        self.throttled = 0
        self.url = ""
        self.sessions: set[_Session] = set()
        self._window = (0, 0)
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], bool], within_s: float = 5.0) -> None:
        """Return once `holds`, asked after each request and connection. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def note_change(self) -> None:
        """Wake who waits in `until`."""
        self._changed.set()

    def cut_idle(self) -> None:
        """End every connection, as a vendor's load balancer does when it is renewed."""
        for session in list(self.sessions):
            session.abort()

    def step_for(self, request: HttpRequest) -> Step:
        """What this request gets."""
        self.requests.append(request)
        self.note_change()
        if self.script:
            return self.script.popleft()
        if self._is_over_limit():
            self.throttled += 1
            return HttpReply(429, {"Retry-After": "1"}, b"")
        return self.double.answer(request)

    def _is_over_limit(self) -> bool:
        if not self.per_s:
            return False
        # The clock of this machine's loop: doubles measure what really comes.
        second = int(asyncio.get_running_loop().time())
        count = self._window[1] + 1 if self._window[0] == second else 1
        self._window = (second, count)
        return count > self.per_s


class _Session(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, server: VendorServer) -> None:
        self._server = server
        self._transport: _Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._is_hung = False
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("_Transport", transport)
        self._server.connections += 1
        self._server.sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.sessions.discard(self)
        self._server.note_change()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
        request = HttpRequest(method, f"{self._server.url}{target}", self._headers, b"".join(self._body))
        self._begin()
        step = self._server.step_for(request)
        if self._server.latency_s:
            asyncio.get_running_loop().call_later(self._server.latency_s, self._play, step)
        else:
            self._play(step)

    def _play(self, step: Step) -> None:
        if self._is_hung:
            return
        match step:
            case HttpReply():
                self._write(reply_bytes(step))
            case Raw():
                self._write(step.data)
                self._is_hung = step.then == "hang"
                if step.then == "close" and self._transport is not None:
                    self._transport.close()
            case Drip():
                self._is_hung = True
                self._write(step.head)
                self._drip(step.every_s)

    def _drip(self, every_s: float) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._write(b"x")
            asyncio.get_running_loop().call_later(every_s, self._drip, every_s)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def reply_bytes(reply: HttpReply) -> bytes:
    """A reply as it goes over the wire."""
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {reply.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items() if name.lower() != "content-length"]
    lines.append(f"Content-Length: {len(reply.body)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + reply.body


@asynccontextmanager
async def serve(double: Answers, tls: ssl.SSLContext | None = None) -> AsyncGenerator[VendorServer]:
    """The double on a free port of 127.0.0.1 until the block ends; `url` says where, without a slash at the end."""
    vendor = VendorServer(double)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: _Session(vendor), "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    vendor.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield vendor
    finally:
        listener.close()
        vendor.cut_idle()
        await listener.wait_closed()
