"""Requests over HTTP/1.1, repeated while there is hope, each POST under one `Idempotency-Key`."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from clarion.client.errors import Problem, Unavailable, error_of

T = TypeVar("T")

KEY_IN_USE: Final = b":key-in-use"
"""The end of the type of a 409 that means: the first attempt is still running."""

_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_SUCCESS_BELOW: Final = 300


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long to go on. Seconds throughout.

    Waits double from `first_wait_s` to `longest_wait_s`, drawn at random below that (full jitter); where the API says
    `Retry-After`, no less than that. After `patience_s` the last refusal is raised. 0: one attempt.
    """

    patience_s: float = 60.0
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    attempt_timeout_s: float = 30.0


class Endpoint(msgspec.Struct, frozen=True):
    """An operation of the API: its method, its path with the names of its parameters, its `operationId`."""

    method: str
    path: str
    operation: str


class Request(msgspec.Struct, frozen=True):
    """What to ask an endpoint: names for its path, a query without the Nones, a body to be written as JSON.

    `key`: the idempotency key of a POST; None: a fresh one.
    """

    path: dict[str, str] = {}
    query: dict[str, Any] = {}
    body: Any = None
    key: str | None = None


class Transport:
    """One account's way to the API. Built within a running loop; `close` ends its connections."""

    def __init__(self, base_url: str, api_key: str, policy: RetryPolicy) -> None:
        self._base_url = base_url.rstrip("/")
        self._policy = policy
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "clarion-python"},
            timeout=aiohttp.ClientTimeout(total=policy.attempt_timeout_s),
        )

    async def close(self) -> None:
        """End the connections. Idempotent."""
        await self._session.close()

    async def call(self, endpoint: Endpoint, request: Request, answer: type[T]) -> T:
        """The endpoint's answer. Raises ApiError.

        A request without an answer is repeated: reading and replacing twice does no harm, and the API does what comes
        under one idempotency key once.
        """
        return msgspec.json.decode(await self.raw(endpoint, request), type=answer)

    async def raw(self, endpoint: Endpoint, request: Request) -> bytes:
        """As `call`; the answer's bytes, empty where it has no body."""
        headers: dict[str, str] = {}
        payload = None if request.body is None else msgspec.json.encode(request.body)
        if payload is not None:
            headers["Content-Type"] = "application/json"
        if endpoint.method == "POST":
            headers["Idempotency-Key"] = request.key or secrets.token_hex(16)
        url = self._base_url + _target(endpoint, request)
        give_up = time.monotonic() + self._policy.patience_s
        ceiling_s = self._policy.first_wait_s
        while True:
            status, body, wait_s = await self._once(endpoint.method, url, payload, headers)
            if status < _SUCCESS_BELOW and status:
                return body
            pause_s = max(wait_s, random.uniform(0, ceiling_s))  # noqa: S311  jitter
            is_hopeless = not _may_pass(status, body) or time.monotonic() + pause_s > give_up
            if is_hopeless:
                raise error_of(status, body) if status else Unavailable(Problem(detail=body.decode()))
            await asyncio.sleep(pause_s)
            ceiling_s = min(2 * ceiling_s, self._policy.longest_wait_s)

    async def _once(
        self, method: str, url: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, float]:
        """Status, body and `Retry-After` in seconds of one attempt; status 0, and why, where there was no answer."""
        try:
            async with self._session.request(method, url, data=payload, headers=headers) as response:
                return response.status, await response.read(), _retry_after_s(response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0, f"the API does not answer ({type(error).__name__})".encode(), 0.0


def _may_pass(status: int, body: bytes) -> bool:
    """Whether the same request may succeed later."""
    return not status or status in _BUSY or (status == 409 and KEY_IN_USE in body)  # noqa: PLR2004  Conflict


def _target(endpoint: Endpoint, request: Request) -> str:
    names = {name: quote(value, safe="") for name, value in request.path.items()}
    given = {name: _text(value) for name, value in request.query.items() if value is not None}
    return endpoint.path.format_map(names) + (f"?{urlencode(given)}" if given else "")


def _text(value: Any) -> str:  # noqa: ANN401  what a query can hold
    return value if isinstance(value, str) else str(msgspec.to_builtins(value))


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds; 0 where there is none, or it is a date, which the API never sends."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and text.isascii() else 0.0
