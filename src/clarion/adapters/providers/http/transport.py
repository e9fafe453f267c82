"""The way to vendors over HTTP: one for all providers of a process."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.kernel.errors import Refused, Transient

MAX_REPLY: Final = 1 << 20
"""The largest body of a reply, unpacked. What vendors answer has kilobytes."""


class Resolve(Protocol):
    """Where a host is, if it may be reached at all (`adapters.egress` has the real one)."""

    async def __call__(self, host: str, *, encrypted: bool) -> Sequence[str]:
        """Its addresses, at least one. Raises Refused where it may not be reached, Transient where it is unknown."""
        ...


class _Checked(AbstractResolver):
    """Knows the addresses that were checked, and asks nobody."""

    def __init__(self) -> None:
        self.known: dict[str, Sequence[str]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self.known[host]
        ]

    async def close(self) -> None:
        """Nothing."""


class Transport:
    """`HttpTransport`. `tls`: what servers' certificates are held against; there is no way to switch that off."""

    def __init__(self, resolve: Resolve, tls: ssl.SSLContext | None = None) -> None:
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._resolver = _Checked()
        self._session: aiohttp.ClientSession | None = None

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """The reply to a request; see `HttpTransport.exchange`."""
        url = URL(request.url)
        host = url.host or ""
        try:
            self._resolver.known[host] = await self._resolve(host, encrypted=url.scheme == "https")
        except Refused as error:
            raise Unavailable(error.detail, "egress") from None
        except Transient as error:
            raise Unavailable(error.detail, "unknown_host") from None
        on_leaving()
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(request, url)
        except TimeoutError:
            raise Cut("no reply in time", "timeout") from None
        except aiohttp.ClientConnectorError:
            raise Unavailable("no connection", "unreachable") from None
        except aiohttp.ClientError as error:
            raise Cut("the connection ended without a reply", type(error).__name__) from None

    async def _ask(self, request: HttpRequest, url: URL) -> HttpReply:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=self._resolver, ssl=self._tls, use_dns_cache=False)
            self._session = aiohttp.ClientSession(connector=connector)
        async with self._session.request(
            request.method, url, headers=request.headers, data=request.body, allow_redirects=False
        ) as reply:
            body = await reply.content.read(MAX_REPLY + 1)
            if len(body) > MAX_REPLY:
                raise Cut("the reply is too large", "reply_too_large")
            return HttpReply(reply.status, {k.lower(): v for k, v in reply.headers.items()}, body)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()
