"""One HTTP/1.1 connection: a request at a time, its reply parsed by llhttp as it comes.

What is kept free of here is what costs messages: a connection that has died is known to be dead before anything is
written to it; bytes that nobody asked for end it; and what is not a reply never becomes one.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final, cast

import httptools
from httptools import HttpParserError, HttpParserUpgrade

from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.bodies import MAX_REPLY, finish
from clarion.adapters.providers.http.exchange import HttpReply

MAX_HEAD: Final = 64 << 10
"""The longest head of a reply, in bytes."""

_FINAL: Final = 200
"""Statuses below are informational: another reply follows."""


class Connection(asyncio.Protocol):
    """A connection as the event loop makes it. `idle_s`: for how long the server keeps it unused, if it says so."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[HttpReply] | None = None
        self._is_done = False
        self._poll = select.poll()
        self.idle_s: float | None = None
        self._begin()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._status = 0
        self._is_complete = False

    @property
    def is_open(self) -> bool:
        """Whether the next request may be written to it."""
        return not self._is_done and self._transport is not None and not self._transport.is_closing()

    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come while it was not used. One system call (1 µs).

        The event loop may not have come to it yet; and what has come can only be a farewell.
        """
        return self.is_open and not self._poll.poll(0)

    async def ask(self, head: bytes, body: bytes, on_leaving: Callable[[], None]) -> HttpReply:
        """The reply to a request. `on_leaving` is called before its first byte is written.

        Raises Unavailable where nothing was written, Cut where it was and no reply came of it. Whoever is cancelled, or
        gets an error, must `abort` the connection: what may still come would be taken for the next reply.
        """
        if not self.is_open or self._transport is None:
            raise Unavailable("the connection was closed before anything was written", "disconnected")
        self._begin()
        self._waiting = asyncio.get_running_loop().create_future()
        on_leaving()
        self._transport.write(head + body)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def abort(self) -> None:
        """End it at once. Idempotent."""
        self._is_done = True
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._waiting is None:
            # Nobody asked: it is a farewell (408), or the rest of something. Either way it answers no next request.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail("what came is no HTTP", "malformed_reply")
            return
        if not self._status:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._fail("the head of the reply does not end", "malformed_reply")

    def eof_received(self) -> bool:
        """Close our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle the request under way: by the status, where there is one, and else as cut."""
        self._is_done = True
        if self._waiting is None:
            return
        if self._status >= _FINAL:
            # Without a length, the end of the connection is the end of the reply.
            self._settle(is_whole=exc is None and not self._has_length())
        else:
            self._fail("the connection ended before a reply came", "disconnected")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A reply begins. A second one to the same request is none: replies can no more be told apart."""
        if self._is_complete:
            self._is_done = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head has come."""
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """A part of the body. Of one that is too large no more is read than tells so."""
        self._size += len(data)
        self._body.append(data)
        if self._size > MAX_REPLY:
            self._is_done = True
            self._settle(is_whole=False)

    def on_message_complete(self) -> None:
        """The reply is whole."""
        if self._status < _FINAL:
            self._begin()
            return
        if not self._parser.should_keep_alive() or self._is_sending():
            self._is_done = True
        self.idle_s = _timeout_of(self._headers.get("keep-alive", ""))
        self._settle(is_whole=True)
        self._begin()
        self._is_complete = True

    def _is_sending(self) -> bool:
        """Whether the server answered before it had all of the request."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def _has_length(self) -> bool:
        return "content-length" in self._headers or "transfer-encoding" in self._headers

    def _settle(self, *, is_whole: bool) -> None:
        if self._waiting is None or self._waiting.done():
            return
        try:
            reply = finish(self._status, self._headers, b"".join(self._body), is_whole=is_whole)
        except Cut as error:
            self._fail(error.detail, error.code)
        else:
            self._waiting.set_result(reply)

    def _fail(self, detail: str, code: str) -> None:
        self.abort()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Cut(detail, code))


def _timeout_of(keep_alive: str) -> float | None:
    """The seconds in `Keep-Alive: timeout=5, max=100`."""
    for part in keep_alive.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "timeout" and value.isdecimal():
            return float(value)
    return None
