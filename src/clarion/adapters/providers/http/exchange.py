"""One HTTP exchange, as adapters see it: whole requests, whole replies, bounded in time and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """A request. `url` is absolute, with scheme; `headers` in the vendor's spelling, without Host and Content-Length.

    `http2`: the vendor wants it (FCM, APNs); such requests share a connection per host.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    http2: bool = False


class HttpReply(msgspec.Struct, frozen=True, gc=False):
    """A whole reply. `headers` by name in lower case; of repeated ones the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Resolve(Protocol):
    """Where a host is, if it may be reached at all (`adapters.egress` has the real one)."""

    async def __call__(self, host: str, *, encrypted: bool) -> Sequence[str]:
        """Its addresses, at least one. Raises Refused where it may not be reached, Transient where it is unknown."""
        ...


class HttpTransport(Protocol):
    """The only way for adapters to reach a vendor. One for all providers of a process; connections are kept by host."""

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """The reply to a request, whatever its status. `on_leaving` is called before the first byte of it leaves.

        Redirects are replies like others: nothing is followed, nothing is sent twice. Raises `base.Unavailable` where
        the vendor cannot be reached (unknown host, refused, wrong certificate, an address that egress forbids),
        `base.Cut` where the connection ended, the time ran out, or what came was no reply or too large.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        ...
