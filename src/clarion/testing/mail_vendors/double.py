"""What all doubles of vendors have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

import jsonschema_rs
import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest

_PACKAGE: Final = "clarion.testing.mail_vendors"


class Arrived(msgspec.Struct, frozen=True):
    """One message as its recipient gets it, with the delivery's id as the vendor would echo it."""

    delivery_id: bytes
    to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


class MailDouble(ABC):
    """A vendor as an `HttpTransport`. `calls`: the requests so far; `arrived`: what was taken from them, in order.

    `script`: replies (or errors) to give instead, one a call. While `is_stalled` nothing is answered.
    """

    def __init__(self) -> None:
        self.calls: list[HttpRequest] = []
        self.arrived: list[Arrived] = []
        self.script: deque[HttpReply | Exception] = deque()
        self.is_stalled = False
        self.is_closed = False

    def counts(self) -> Counter[bytes]:
        """How many messages of each delivery have arrived."""
        return Counter(one.delivery_id for one in self.arrived)

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """The reply to a request; see `HttpTransport.exchange`."""
        on_leaving()
        if self.is_stalled:
            await asyncio.sleep(within_s)
            raise TimeoutError
        # As on a wire, others come to their turn.
        await asyncio.sleep(0)
        self.calls.append(request)
        if self.script:
            reply = self.script.popleft()
            if isinstance(reply, Exception):
                raise reply
            return reply
        return self.answer(request)

    @abstractmethod
    def answer(self, request: HttpRequest) -> HttpReply:
        """What the vendor says to a request."""

    async def close(self) -> None:
        """Remember that nobody will call any more."""
        self.is_closed = True


def load_validator(name: str, pointer: str = "") -> jsonschema_rs.Draft202012Validator:
    """The validator of a schema in `schemas`; `pointer`: of one of its definitions."""
    schema: dict[str, Any] = msgspec.json.decode(
        files(_PACKAGE).joinpath(f"schemas/{name}.json").read_bytes()
    )
    if pointer:
        schema = {"$defs": schema["$defs"], "$ref": f"#/$defs/{pointer}"}
    return jsonschema_rs.Draft202012Validator(schema)


def json_reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> HttpReply:
    """A reply with a JSON body."""
    return HttpReply(
        status, {"content-type": "application/json", **(headers or {})}, msgspec.json.encode(body)
    )
