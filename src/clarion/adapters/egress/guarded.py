"""Reading a document from a URL that a tenant chose, without letting it choose what we reach.

The name is resolved once; every address that it has must be a public one, and one of these very addresses is connected
to, so that a name cannot change its mind in between. Nothing is followed, and both time and size are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from clarion.kernel.errors import Refused, Transient

WITHIN_S: Final = 5.0
"""For everything: looking up the name, connecting, and the whole document."""

MAX_BYTES: Final = 256 << 10

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
LookUp: TypeAlias = Callable[[str], Sequence[str]]

_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80
_CLOSED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "::ffff:0:0:0/96", "::/96"),
        *("192.0.0.0/24", "fec0::/10", "3fff::/20", "5f00::/16"),
    )
)
"""What Python before 3.12.4 takes for public: IPv6 that stands for IPv4 (NAT64, 6to4, Teredo, translated, compatible),
a way around every rule for that; and what IANA's registries of special addresses say is not reached globally."""


def read_networks(text: str) -> list[Network]:
    """Networks in CIDR form, separated by commas. Raises ValueError."""
    return [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]


class EgressGuard:
    """Says where a name that a tenant chose leads, or refuses it.

    `allowed`: networks that may be reached though they are not public, over http too. `look_up` gives every address of
    a name, in a thread; it raises OSError or UnicodeError.
    """

    def __init__(self, allowed: Sequence[Network], look_up: LookUp | None = None) -> None:
        self._allowed = tuple(allowed)
        self._look_up = look_up or look_up_host

    async def resolve(self, host: str, *, encrypted: bool) -> list[str]:
        """Every address of a host, each once, all of which may be connected to.

        Raises Refused where one of them may not be reached, or not without encryption; Transient where it has none.
        """
        addresses = await self._find(host)
        is_allowed = all(any(address in network for network in self._allowed) for address in addresses)
        if not addresses:
            raise Transient("its host has no address")
        if not is_allowed and not all(_is_public(address) for address in addresses):
            raise Refused("its host is not a public one", "egress")
        if not encrypted and not is_allowed:
            raise Refused("only https is asked", "egress")
        return [str(address) for address in addresses]

    async def _find(self, host: str) -> list[Address]:
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            pass
        try:
            found = await asyncio.to_thread(self._look_up, host)
        except (OSError, UnicodeError):
            raise Transient("its host is not known") from None
        return [ipaddress.ip_address(text) for text in dict.fromkeys(found)]


class GuardedFetcher:
    """`tenancy.ports.KeyFetcher`. `allowed` and `look_up` are those of `EgressGuard`."""

    def __init__(
        self, allowed: Sequence[Network], within_s: float = WITHIN_S, look_up: LookUp | None = None
    ) -> None:
        self._guard = EgressGuard(allowed, look_up)
        self._within_s = within_s
        self._tls = ssl.create_default_context()

    async def fetch(self, url: str) -> bytes:
        """The document at `url`. Raises Refused where it may not be asked, Transient where it cannot be had."""
        parts = urlsplit(url)
        port = parts.port or (_HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT)
        connection: _Pinned | None = None
        try:
            async with asyncio.timeout(self._within_s):
                tls = self._tls if parts.scheme == "https" else None
                addresses = await self._guard.resolve(parts.hostname or "", encrypted=tls is not None)
                connection = _Pinned((parts.hostname or "", port), addresses, tls, self._within_s)
                return await asyncio.to_thread(_read, connection, _target(parts))
        except TimeoutError:
            raise Transient(f"it did not answer within {self._within_s:g} seconds") from None
        finally:
            if connection is not None:
                connection.cut()


class _Pinned(http.client.HTTPConnection):
    """A connection to one of the addresses that were checked; certificates are held against the name."""

    def __init__(
        self, host: tuple[str, int], addresses: Sequence[str], tls: ssl.SSLContext | None, within_s: float
    ) -> None:
        super().__init__(host[0], host[1], timeout=within_s)
        self._addresses = addresses
        self._tls = tls
        self._within_s = within_s
        self._lock = threading.Lock()
        self._is_cut = False

    def connect(self) -> None:
        """Connect to the first address that answers. Raises OSError."""
        failure = OSError("no address")
        for address in self._addresses:
            try:
                connected = socket.create_connection((address, self.port), self._within_s)
                break
            except OSError as error:
                failure = error
        else:
            raise failure
        if self._tls is not None:
            connected = self._tls.wrap_socket(connected, server_hostname=self.host)
        with self._lock:
            if self._is_cut:
                connected.close()
                raise OSError("cut while it was being made")
            self.sock = connected

    def cut(self) -> None:
        """End it, also for a thread that still connects or reads."""
        with self._lock:
            self._is_cut = True
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.close()


def look_up_host(host: str) -> list[str]:
    """The addresses of a name, as this machine's resolver knows them. Raises OSError, UnicodeError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    if any(address in network for network in _CLOSED):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read(connection: _Pinned, target: str) -> bytes:
    """The whole answer, in a thread. Raises Transient on whatever is no `200` of bounded size."""
    try:
        connection.request(
            "GET", target, headers={"Accept": "application/json", "Accept-Encoding": "identity"}
        )
        with connection.getresponse() as response:
            if response.status != http.client.OK:
                raise Transient(f"it answers {response.status}")
            if response.getheader("content-encoding", "identity") != "identity":
                raise Transient("it answers in an encoding that was not asked for")
            body = response.read(MAX_BYTES + 1)
            is_cut_short = bool(response.length)
    except (OSError, http.client.HTTPException, ValueError):
        raise Transient("it cannot be reached, or does not speak HTTP") from None
    if len(body) > MAX_BYTES:
        raise Transient(f"it is larger than {MAX_BYTES >> 10} KB")
    if is_cut_short:
        raise Transient("it ends before its end")
    return body
