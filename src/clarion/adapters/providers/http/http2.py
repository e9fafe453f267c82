"""HTTP/2: many streams on one connection a host, through wreq.

wreq looks up no name: each host has a client of its own, which knows the addresses that were checked. It repeats a
request by itself only where the server said that it had not looked at it (GOAWAY, REFUSED_STREAM).
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import wreq
from wreq.exceptions import ConnectionError as NotConnected
from wreq.exceptions import TimeoutError as TookTooLong

from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.bodies import MAX_REPLY, finish
from clarion.adapters.providers.http.dialer import CONNECT_S, AddressBook
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.origin import Origin

AGE_S: Final = 300.0
"""How long a client is used for new requests. Then the host's name is looked up again; streams under way go on."""

_PING_S: Final = 30.0
"""A connection under use that does not answer a ping within CONNECT_S of it is dead."""

_NOT_LOOKED_AT: Final = ("REFUSED_STREAM", 'GoAway(b"", NO_ERROR')
"""What servers say when they surely did nothing, as wreq quotes it after it has tried again in vain."""


class Http2:
    """The HTTP/2 half of a transport. `authority`: certificates in PEM, in place of the system's ("": those)."""

    def __init__(self, addresses: AddressBook, authority: str) -> None:
        self._addresses = addresses
        pem = authority.encode() or _system_certificates()
        self._trusted = wreq.tls.CertStore.from_pem_stack(pem) if pem else True
        self._clients: dict[Origin, tuple[float, wreq.Client]] = {}
        self._runtime: wreq.Runtime | None = None

    async def exchange(
        self, request: HttpRequest, origin: Origin, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """The reply to a request. Raises as `HttpTransport.exchange`."""
        client = await self._client(origin)
        on_leaving()
        try:
            reply = await client.request(
                _METHODS[request.method],
                request.url,
                headers=request.headers,
                body=request.body,
                timeout=timedelta(seconds=within_s),
            )
            body = await _read(reply)
        except NotConnected as error:
            raise _not_connected(str(error)) from None
        except TookTooLong:
            raise Cut("no reply in time", "deadline") from None
        except Exception as error:  # noqa: BLE001  wreq's errors have no base of their own: whatever it is, no reply came
            raise _cut(str(error)) from None
        headers = {
            bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in reply.headers
        }
        return finish(reply.status.as_int(), headers, body, is_whole=len(body) <= MAX_REPLY)

    def close(self) -> None:
        """Forget all connections; they end with the streams under way on them."""
        self._clients.clear()
        self._runtime = None

    async def _client(self, origin: Origin) -> wreq.Client:
        if (client := self._known(origin)) is not None:
            return client
        addresses = await self._addresses.find(origin)
        if (client := self._known(origin)) is not None:
            # Somebody who waited for the same addresses was faster; two clients would have a connection each.
            return client
        client = self._make(origin, [ipaddress.ip_address(address) for address in addresses])
        self._clients[origin] = (asyncio.get_running_loop().time() + AGE_S, client)
        return client

    def _known(self, origin: Origin) -> wreq.Client | None:
        """The client of an origin, if it is young enough; of others those that are not are let go."""
        now = asyncio.get_running_loop().time()
        until, client = self._clients.get(origin, (0.0, None))
        if client is not None and now < until:
            return client
        self._clients = {known: entry for known, entry in self._clients.items() if now < entry[0]}
        return None

    def _make(
        self, origin: Origin, addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
    ) -> wreq.Client:
        dns = wreq.DnsOptions(system_dns=True)
        dns.add_resolve(origin.host, addresses)
        # One thread carries all streams of a process: more would only pass them to one another.
        self._runtime = self._runtime or wreq.Runtime(workers=1)
        return wreq.Client(
            runtime=self._runtime,
            http2_only=True,
            no_proxy=True,
            redirect=wreq.redirect.Policy.none(),
            tls_verify=self._trusted,
            dns_options=dns,
            connect_timeout=timedelta(seconds=CONNECT_S),
            http2_options=wreq.Http2Options(
                keep_alive_interval=timedelta(seconds=_PING_S),
                keep_alive_timeout=timedelta(seconds=CONNECT_S),
            ),
            gzip=False,
            brotli=False,
            deflate=False,
            zstd=False,
        )


_METHODS: Final = {"POST": wreq.Method.POST, "GET": wreq.Method.GET, "PUT": wreq.Method.PUT}


def _system_certificates() -> bytes:
    """The certificates that this machine trusts, as OpenSSL finds them; b"": in no file, and wreq's own are used.

    wreq would trust those that it brings along, and not an authority that the operator has added.
    """
    paths = ssl.get_default_verify_paths()
    bundle = Path(paths.cafile) if paths.cafile else Path(paths.capath or "/") / "ca-certificates.crt"
    return bundle.read_bytes() if bundle.is_file() else b""


async def _read(reply: wreq.Response) -> bytes:
    """The body; of one that is too large no more than tells so."""
    if reply.content_length is not None and reply.content_length <= MAX_REPLY:
        return bytes(await reply.bytes())
    body = bytearray()
    async for part in reply.stream():
        if isinstance(part, memoryview):
            body += part
        if len(body) > MAX_REPLY:
            await reply.close()
            break
    return bytes(body)


def _not_connected(text: str) -> Unavailable:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Unavailable("its certificate is refused", "certificate")
    return Unavailable("it cannot be connected to", "unreachable")


def _cut(text: str) -> Unavailable | Cut:
    if any(said in text for said in _NOT_LOOKED_AT):
        return Unavailable("the server took no further requests on this connection", "going_away")
    return Cut("the stream ended before a reply came", "disconnected")
