"""Replies of one HTTP/1.1 connection, parsed by llhttp as their bytes come."""

from __future__ import annotations

from typing import Final

import httptools
from httptools import HttpParserError, HttpParserUpgrade

from clarion.adapters.providers.base import Cut
from clarion.adapters.providers.http.bodies import MAX_REPLY, finish
from clarion.adapters.providers.http.exchange import HttpReply

MAX_HEAD: Final = 64 << 10
"""The longest head of a reply, its trailers included, in bytes."""

MAX_BYTES: Final = 8 * MAX_REPLY
"""The most that is read for one reply, framing included."""

_FINAL: Final = 200
"""Statuses below are informational: another reply follows."""


class ReplyReader:
    """Reads one reply after another: `begin`, then `feed` until `is_complete`.

    `is_spoilt`: no further reply of this connection can be told from this one. `idle_s`: for how long the server keeps
    the connection unused, if it says so. The methods `on_…` are the parser's.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.is_spoilt = False
        self.idle_s: float | None = None
        self.begin()

    def begin(self) -> None:
        """Forget the last reply."""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._read = 0
        self._head_size = 0
        self._status = 0
        self.is_complete = False

    @property
    def has_status(self) -> bool:
        """Whether the head of a reply has come."""
        return self._status >= _FINAL

    def feed(self, data: bytes) -> None:
        """Parse what came. Raises Cut on what is no reply, or no end of one."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            raise Cut("what came is no HTTP", "malformed_reply") from None
        self._read += len(data)
        if self._read > (MAX_BYTES if self._status else MAX_HEAD) and not self.is_complete:
            raise Cut("the reply does not end", "malformed_reply")

    def reply(self, *, at_end: bool = False) -> HttpReply:
        """The reply, as far as it has come. Raises Cut as `finish`.

        `at_end`: the connection has ended in order, which is the end of a reply that names no length.
        """
        has_length = "content-length" in self._headers or "transfer-encoding" in self._headers
        is_whole = self._size <= MAX_REPLY and (self.is_complete or (at_end and not has_length))
        return finish(self._status, self._headers, b"".join(self._body), is_whole=is_whole)

    def on_message_begin(self) -> None:
        """A reply begins. A second one to the same request is none."""
        if self.is_complete:
            self.is_spoilt = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer. Raises ValueError, which ends the reply, where there are too many."""
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD:
            raise ValueError(MAX_HEAD)
        if not self.is_complete:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head has come."""
        if not self.is_complete:
            self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """A part of the body. Of one that is too large no more is kept than tells so."""
        if not self.is_complete:
            self._size += len(data)
            self._body.append(data)
            if self._size > MAX_REPLY:
                self.is_complete = self.is_spoilt = True

    def on_message_complete(self) -> None:
        """The reply is whole, or was only an announcement of one."""
        if self.is_complete:
            return
        if self._status < _FINAL:
            self.begin()
            return
        self.is_complete = True
        self.is_spoilt = self.is_spoilt or not self._parser.should_keep_alive()
        self.idle_s = _timeout_of(self._headers.get("keep-alive", ""))


def _timeout_of(keep_alive: str) -> float | None:
    """The seconds in `Keep-Alive: timeout=5, max=100`."""
    for part in keep_alive.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "timeout" and value.isdecimal():
            return float(value)
    return None
