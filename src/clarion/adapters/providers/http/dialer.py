"""Opening connections: names are looked up and checked, and exactly what was checked is connected to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from clarion.adapters.providers.base import Unavailable
from clarion.adapters.providers.http.connection import Connection
from clarion.adapters.providers.http.exchange import Resolve
from clarion.adapters.providers.http.origin import Origin
from clarion.kernel.errors import Refused, Transient

CONNECT_S: Final = 5.0
"""For one address to answer, with its certificate. Another address is tried after it."""

KNOWN_S: Final = 10.0
"""For how long a name is known. A burst opens many connections, and looks its name up once."""


class AddressBook:
    """The checked addresses of hosts, each kept for KNOWN_S seconds; who asks at the same time asks once."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: dict[Origin, tuple[float, asyncio.Task[Sequence[str]]]] = {}

    async def find(self, origin: Origin) -> Sequence[str]:
        """The addresses of an origin. Raises Unavailable (`egress`, `unknown_host`)."""
        now = asyncio.get_running_loop().time()
        since, task = self._known.get(origin, (0.0, None))
        if task is None or now - since > KNOWN_S:
            self._known = {known: entry for known, entry in self._known.items() if now - entry[0] <= KNOWN_S}
            task = asyncio.ensure_future(self._resolve(origin.host, encrypted=origin.encrypted))
            task.add_done_callback(_note_failure)
            self._known[origin] = (now, task)
        try:
            # Shielded: others wait for the same answer, whatever becomes of this call.
            return await asyncio.shield(task)
        except Refused as error:
            raise Unavailable(error.detail, "egress") from None
        except Transient as error:
            raise Unavailable(error.detail, "unknown_host") from None


def _note_failure(task: asyncio.Task[Sequence[str]]) -> None:
    """Take note of how a look-up ended, for those who waited may all have given up."""
    if not task.cancelled():
        task.exception()


class Dialer:
    """Opens HTTP/1.1 connections. `tls`: what servers' certificates are held against."""

    def __init__(self, addresses: AddressBook, tls: ssl.SSLContext) -> None:
        self._addresses = addresses
        self._tls = tls

    async def dial(self, origin: Origin) -> Connection:
        """A connection to one of the addresses of an origin, its certificate held against the name.

        Raises Unavailable (`egress`, `unknown_host`, `unreachable`, `certificate`, `tls`).
        """
        for address in await self._addresses.find(origin):
            try:
                async with asyncio.timeout(CONNECT_S):
                    return await self._connect(origin, address)
            except ssl.SSLCertVerificationError as error:
                raise Unavailable(
                    f"its certificate is refused: {error.verify_message}", "certificate"
                ) from None
            except ssl.SSLError as error:
                raise Unavailable(f"no encryption could be agreed on: {error.reason}", "tls") from None
            except (OSError, TimeoutError):
                continue
        raise Unavailable("it cannot be connected to", "unreachable")

    async def _connect(self, origin: Origin, address: str) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection,
            address,
            origin.port,
            ssl=self._tls if origin.encrypted else None,
            server_hostname=origin.host if origin.encrypted else None,
        )
        return connection
