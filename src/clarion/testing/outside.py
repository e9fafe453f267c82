"""What providers under test are built with."""

from __future__ import annotations

import ipaddress

from clarion.adapters.egress import EgressGuard
from clarion.adapters.providers.base import Outside, ReceiptSink
from clarion.adapters.providers.http.exchange import HttpTransport
from clarion.adapters.providers.http.transport import Transport
from clarion.adapters.providers.http.unconnected import Unconnected
from clarion.kernel.clock import Clock
from clarion.testing.providers import ListSink


def loopback_guard() -> EgressGuard:
    """Lets this machine be reached, and public hosts."""
    return EgressGuard([ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")])


def loopback_transport(authority: str = "") -> Transport:
    """A real transport that reaches this machine, also without encryption, and nothing but public hosts beside it.

    `authority`: certificates in PEM that sign those of doubles, in place of the system's. Whoever makes it closes it.
    """
    return Transport(loopback_guard().resolve, authority)


def outside(
    clock: Clock, receipts: ReceiptSink | None = None, transport: HttpTransport | None = None
) -> Outside:
    """All that a provider is built with.

    Without `transport` it reaches nobody over HTTP. Mail servers on this machine it reaches always.
    """
    return Outside(clock, receipts or ListSink(), transport or Unconnected(), loopback_guard().resolve)
