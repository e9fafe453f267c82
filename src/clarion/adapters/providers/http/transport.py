"""The way to vendors over HTTP: one for all providers of a process.

exchange ─▶ http2? ─▶ streams on one connection a host (`http2`)
              └─ no ─▶ a kept connection of the origin, or a new one (`pool`, `dialer`) ─▶ `connection`
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from clarion.adapters.providers.base import Cut, Unavailable, Unsendable
from clarion.adapters.providers.http.connection import Connection
from clarion.adapters.providers.http.dialer import AddressBook, Dialer
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest, Resolve
from clarion.adapters.providers.http.http2 import Http2
from clarion.adapters.providers.http.origin import Origin, split_url
from clarion.adapters.providers.http.pool import Pool, PoolLimits

LONGEST_S: Final = 300.0
"""The longest that any exchange may take, where the caller sets no bound."""

_BROKEN: Final = re.compile(r"[\r\n\0]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Transport:
    """`HttpTransport`. `resolve` says where hosts are, and which may be reached.

    `authority`: certificates in PEM that sign those of servers, in place of the system's (doubles, private endpoints).
    Certificates are verified always: there is no way to switch that off.
    """

    def __init__(self, resolve: Resolve, authority: str = "", limits: PoolLimits | None = None) -> None:
        tls = ssl.create_default_context(cadata=authority or None)
        tls.set_alpn_protocols(["http/1.1"])
        addresses = AddressBook(resolve)
        self._dialer = Dialer(addresses, tls)
        self._http2 = Http2(addresses, authority)
        self._limits = limits or PoolLimits()
        self._pools: dict[Origin, Pool] = {}
        self._is_closed = False

    @property
    def connections(self) -> int:
        """HTTP/1.1 connections that are open or being opened, for metrics."""
        return sum(pool.size for pool in self._pools.values())

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """The reply to a request; see `HttpTransport.exchange`. Raises Unsendable on a URL or header that is none."""
        origin, target = split_url(request.url)
        head = write_head(request, origin, target)
        if self._is_closed:
            raise Unavailable("the transport was closed", "closed")
        within_s = min(within_s, LONGEST_S)
        if request.http2:
            return await self._http2.exchange(request, origin, on_leaving, within_s)
        pool = self._pool(origin)
        connection: Connection | None = None
        try:
            async with asyncio.timeout(within_s):
                connection = await _acquire(pool)
                reply = await connection.ask(head, request.body, on_leaving)
        except BaseException as error:
            if connection is not None:
                pool.discard(connection)
            if isinstance(error, TimeoutError):
                raise _too_late(connection) from None
            raise
        pool.release(connection)
        return reply

    async def close(self) -> None:
        """Close all connections; calls under way end as the vendor lets them. Idempotent."""
        self._is_closed = True
        for pool in list(self._pools.values()):
            pool.close()
        self._http2.close()

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            forget = partial(self._pools.pop, origin, None)
            pool = Pool(partial(self._dialer.dial, origin), self._limits, forget)
            self._pools[origin] = pool
        return pool


def write_head(request: HttpRequest, origin: Origin, target: str) -> bytes:
    """The head of a request, to the empty line. Raises Unsendable where a header would not stay one."""
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {origin.authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(request.body)}\r\nAccept-Encoding: identity\r\n\r\n")
    check_headers(request.headers)
    try:
        return "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise Unsendable("a header of the request is no Latin-1", "malformed_header") from None


def check_headers(headers: Mapping[str, str]) -> None:
    """Pass where each is a header of its own. Raises Unsendable: a line break in a value would begin another."""
    for name, value in headers.items():
        if _BROKEN.search(value) or not _TOKEN.fullmatch(name):
            raise Unsendable("a header of the request would not stay what it is", "malformed_header")


async def _acquire(pool: Pool) -> Connection:
    while not (connection := await pool.acquire()).is_open:
        pool.discard(connection)
    return connection


def _too_late(connection: Connection | None) -> Unavailable | Cut:
    if connection is None:
        return Unavailable("no connection in time", "unreachable")
    return Cut("no reply in time", "deadline")
