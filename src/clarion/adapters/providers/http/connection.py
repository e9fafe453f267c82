"""One HTTP/1.1 connection: a request at a time, its reply read as it comes.

What is kept free of here is what costs messages: a connection that has died is known to be dead before anything is
written to it; bytes that nobody asked for end it; and what is not a reply never becomes one.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.http.reader import ReplyReader


class Connection(asyncio.Protocol):
    """A connection as the event loop makes it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader()
        self._waiting: asyncio.Future[HttpReply] | None = None
        self._poll = select.poll()
        self._is_done = False

    @property
    def idle_s(self) -> float | None:
        """For how long the server keeps it unused, if it says so."""
        return self._reader.idle_s

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
        self._reader.begin()
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
            self._reader.feed(data)
        except Cut as error:
            self._fail(error)
            return
        if self._reader.is_complete:
            self._settle()

    def eof_received(self) -> bool:
        """Close our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle the request under way: by the status, where there is one, and else as cut."""
        self._is_done = True
        if self._reader.has_status:
            self._settle(at_end=exc is None)
        else:
            self._fail(Cut("the connection ended before a reply came", "disconnected"))

    def _settle(self, *, at_end: bool = False) -> None:
        is_sending = self._transport is not None and self._transport.get_write_buffer_size() > 0
        # A server that answers before it had all of a request will read the rest of it as the next one.
        self._is_done = self._is_done or self._reader.is_spoilt or is_sending
        if self._waiting is None or self._waiting.done():
            return
        try:
            self._waiting.set_result(self._reader.reply(at_end=at_end))
        except Cut as error:
            self._fail(error)

    def _fail(self, error: Cut) -> None:
        self.abort()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
