"""What doubles of vendors have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, Protocol

import jsonschema_rs
import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest

KEPT: Final = 10_000
"""The latest messages that a double keeps."""

JSON_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json"}


class Answers(Protocol):
    """A vendor, as far as its answers go."""

    def answer(self, request: HttpRequest, /) -> HttpReply:
        """The reply to a request, whatever it holds. Header names come as the client spelt them."""
        ...


class Rejected(Exception):  # noqa: N818  it is the vendor's answer, and no error of the double
    """What the vendor answers in place of taking a message; `reason` is for whoever reads a failing test."""

    def __init__(self, status: int, reason: str, body: object) -> None:
        super().__init__(reason)
        self.reply = json_reply(status, body)
        self.reason = reason


class VendorDouble(ABC):
    """A vendor's endpoint. `arrived`: what was taken, as the vendor decoded it; `refusals`: why others were not.

    `statuses` counts all answers.
    """

    def __init__(self) -> None:
        self.arrived: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self.refusals: deque[str] = deque(maxlen=KEPT)
        self.statuses: Counter[int] = Counter()
        self.taken = 0

    def answer(self, request: HttpRequest) -> HttpReply:
        """The vendor's reply, counted."""
        try:
            reply = self._answer(request)
        except Rejected as rejection:
            self.refusals.append(rejection.reason)
            reply = rejection.reply
        self.statuses[reply.status] += 1
        return reply

    @abstractmethod
    def _answer(self, request: HttpRequest) -> HttpReply:
        """The vendor's reply. Calls `_take` for each message that it takes; raises Rejected for what it does not."""

    def _take(self, content: Mapping[str, Any]) -> None:
        self.arrived.append(content)
        self.taken += 1


def json_reply(status: int, body: object) -> HttpReply:
    """A reply in JSON."""
    return HttpReply(status, JSON_HEADERS, msgspec.json.encode(body))


def header(request: HttpRequest, name: str) -> str:
    """The value of a header, however it is spelt; "" where there is none."""
    return next((value for key, value in request.headers.items() if key.lower() == name), "")


@lru_cache
def validator(schema: str) -> jsonschema_rs.Validator:
    """The compiled schema of a file in `schemas/`, formats checked too."""
    document = msgspec.json.decode((files(__package__ or "") / "schemas" / f"{schema}.json").read_bytes())
    return jsonschema_rs.validator_for(document, validate_formats=True)


def first_problem(schema: str, content: object) -> str | None:
    """What is wrong with a body by its vendor's schema, with its path; None: nothing."""
    compiled = validator(schema)
    if compiled.is_valid(content):
        return None
    error = next(iter(compiled.iter_errors(content)))
    return f"{'.'.join(str(step) for step in error.instance_path)}: {error.message}"
