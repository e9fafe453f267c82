"""A model server, as HTTP and JSON. The operator names it: it is not for the guard against tenants' addresses."""

from __future__ import annotations

import json
from typing import Any, Final

import aiohttp
import msgspec

from clarion.kernel.errors import Permanent, Transient

LARGEST_ANSWER: Final = 2 * 1024 * 1024
"""Bytes: 100 users' tables of 144 numbers with all their digits are 350 kB."""

_BUSY: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_REDIRECT: Final = 300
_CONNECTIONS: Final = 16


class ModelServer:
    """Connections to one server, opened when they are needed and kept. Close it when done."""

    def __init__(self, origin: str) -> None:
        """`origin`: scheme, host, port, and whatever path comes before the protocol's own."""
        self._origin = origin.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: object) -> Any:  # noqa: ANN401  JSON
        """The answer to a call, decoded; NaN and Infinity as TensorFlow Serving writes them are understood.

        Waits as long as the caller lets it. Raises Transient where the server is away or busy, Permanent where it
        refuses, redirects, or answers what is no JSON, or too much.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS), cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.post(
                f"{self._origin}{path}",
                data=msgspec.json.encode(body),
                headers={"content-type": "application/json"},
                allow_redirects=False,
            ) as answer:
                content = await _read(answer)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Transient(f"the model server is away: {type(error).__name__}") from error
        if status >= _SERVER_ERROR or status in _BUSY:
            raise Transient(f"the model server answered {status}")
        if status >= _REDIRECT:
            raise Permanent(f"the model server answered {status}: {content[:200].decode('utf-8', 'replace')}")
        return _decode(content)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise Permanent(f"the model server's answer is larger than {LARGEST_ANSWER} bytes")
    return bytes(content)


def _decode(content: bytes) -> Any:  # noqa: ANN401  JSON
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        pass
    try:
        return json.loads(content)  # slower, and it knows NaN
    except ValueError:
        raise Permanent("the model server's answer is no JSON") from None
