"""What holds for every test: the network ends at this machine."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["tests.live.fixtures"]

# How fast an example runs depends on what else this machine does: pytest's time-out guards against hanging.
# CI tries the same examples each time, so that a change is judged by what it changes; everybody else explores.
hypothesis.settings.register_profile(
    "clarion", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("clarion")


def _host_of(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The host that an audited call reaches out to; None where it reaches nobody, or a Unix socket."""
    if event in {"socket.connect", "socket.sendto"}:
        address: str | bytes | tuple[Any, ...] = arguments[1]
        return str(address[0]) if isinstance(address, tuple) else None
    if event == "socket.getaddrinfo":
        host: str | bytes | None = arguments[0]
        return host.decode() if isinstance(host, bytes) else host
    return None


def _is_on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"}


def _refuse_the_outside(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: fail a connection, a datagram or a name look-up that would leave this machine.

    Python's own sockets pass here, in whatever thread; uvloop's and those of other processes do not.
    """
    host = _host_of(event, arguments)
    if host is not None and not _is_on_this_machine(host):
        pytest.fail(f"{event} to {host!r}: tests stay on loopback")


def pytest_configure() -> None:
    """Guard this process, and so each xdist worker, from before collection to its end (audit hooks stay)."""
    sys.addaudithook(_refuse_the_outside)
