"""Answers as they go onto the wire. A framework's response, twice as dear, would be felt on the way of an accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

Header: TypeAlias = tuple[bytes, bytes]


class Page(msgspec.Struct):
    """In a route's `answers`: HTML, for people."""


class Picture(msgspec.Struct):
    """In a route's `answers`: a GIF."""


class Script(msgspec.Struct):
    """In a route's `answers`: JavaScript."""


class Lines(msgspec.Struct):
    """In a route's `answers`: NDJSON."""


class Table(msgspec.Struct):
    """In a route's `answers`: CSV."""


class Zip(msgspec.Struct):
    """In a route's `answers`: a zip archive."""


JSON: Final = b"application/json"
LINES: Final = b"application/x-ndjson"
CSV: Final = b"text/csv"
PROBLEM: Final = b"application/problem+json"

# Money leaves as a number with all its digits, not as text.
encode_json: Final = msgspec.json.Encoder(decimal_format="number").encode


class Reply:
    """A whole answer: an ASGI application that sends itself. `body` is empty only where the status has none."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, body: bytes = b"", headers: tuple[Header, ...] = (), media: bytes = JSON
    ) -> None:
        self.status = status
        self.body = body
        self.headers: list[Header] = [*headers]
        if body:
            self.headers += ((b"content-type", media), (b"content-length", b"%d" % len(body)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json_reply(value: Any, status: int = 200, headers: tuple[Header, ...] = ()) -> Reply:  # noqa: ANN401  any struct
    """`value` as JSON."""
    return Reply(status, encode_json(value), headers)
