"""Calls to URLs that a tenant chose, over the guarded transport; signed as Standard Webhooks has it where asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from clarion.adapters.providers.base import Cut, Unavailable, Unsendable
from clarion.adapters.providers.http.exchange import HttpRequest, HttpTransport
from clarion.adapters.providers.http.statuses import retry_after_of
from clarion.adapters.providers.standard_webhooks import sign
from clarion.journeys.calls import MAX_BODY
from clarion.journeys.outside import Incoming, Outgoing
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Transient

FOR_EVER: Final = frozenset({"egress", "certificate"})
"""What no repeat mends: an address of our own network, a server that is not who it says."""

_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class Secrets(Protocol):
    """What a tenant's webhooks are signed with."""

    async def secrets(self, tenant_id: bytes) -> list[str]:
        """`whsec_…`, the newest first; one that was replaced signs for another day. Raises Transient."""
        ...


class Outbound:
    """`journeys.outside.Outside`."""

    def __init__(self, transport: HttpTransport, secrets: Secrets, clock: Clock) -> None:
        self._transport = transport
        self._secrets = secrets
        self._clock = clock

    async def call(self, outgoing: Outgoing) -> Incoming:
        """Make a call, once; see `Outside.call`."""
        try:
            headers = dict(_allowed(outgoing.headers))
            if outgoing.sign_as:
                headers |= await self._sign(outgoing)
            request = HttpRequest(outgoing.method, outgoing.url, headers, outgoing.body)
            reply = await self._transport.exchange(request, _nothing, outgoing.within_s)
        except Unavailable as error:
            return Incoming(error=error.code, final=error.code in FOR_EVER)
        except Unsendable as error:
            return Incoming(error=error.code, final=True)
        except Cut as error:
            return Incoming(error="timeout" if error.code == "deadline" else error.code)
        except Transient:
            return Incoming(error="secret_unknown")
        if len(reply.body) > MAX_BODY:
            return Incoming(error="too_large", final=True)
        retry_s = retry_after_of(reply.headers, self._clock.now_ms())
        return Incoming(reply.status, reply.body, retry_ms=int(retry_s * 1000))

    async def _sign(self, outgoing: Outgoing) -> dict[str, str]:
        at_s = self._clock.now_ms() // 1000
        signatures = [
            sign(secret, outgoing.sign_as, at_s, outgoing.body)
            for secret in await self._secrets.secrets(outgoing.tenant_id)
        ]
        return {
            "webhook-id": outgoing.sign_as,
            "webhook-timestamp": str(at_s),
            "webhook-signature": " ".join(signatures),
        }


def _allowed(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers of the tenant's that are hers to set."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in _OURS and not name.lower().startswith("webhook-")
    }


def _nothing() -> None:
    """Nothing is noted before a call leaves: it may be made again."""
