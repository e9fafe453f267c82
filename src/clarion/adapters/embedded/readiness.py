"""How a child says that it serves: through a pipe, over HTTP, or in its own protocol.

Stores are probed with the few bytes of their protocol that matter here, so that this technology needs none of the
clients that the others are built on.
"""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

from clarion.adapters.embedded.model import Probe
from clarion.adapters.embedded.ports import HOST

READY_VARIABLE = "CLARION_READY_FD"
_TIMEOUT = 2.0
_PROTOCOL_3_0 = 196608
_STATUS = 7  # the eighth line of postmaster.pid, LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h


def notify_ready() -> None:
    """Tell the supervisor that started this process that it serves. Does nothing without one, or the second time."""
    descriptor = os.environ.pop(READY_VARIABLE, None)
    if descriptor is None:
        return
    handle = int(descriptor)
    try:
        os.write(handle, b"ready\n")
    except BrokenPipeError:  # the supervisor is gone, and so are we, soon
        return
    finally:
        os.close(handle)


def http_probe(port: int, path: str = "/readyz") -> Probe:
    """True when `GET path` on the loopback port is answered with 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()

    async def probe() -> bool:
        answer = await _exchange(port, request, len(b"HTTP/1.1 200"))
        return answer[8:] == b" 200"

    return probe


def postgres_probe(port: int, user: str, pid_file: Path) -> Probe:
    """True when the server has written so into its pid file, and asks for a password.

    Asked earlier, it would answer with an error and write one into its log each time.
    """
    body = struct.pack("!i", _PROTOCOL_3_0) + f"user\0{user}\0database\0postgres\0\0".encode()
    request = struct.pack("!i", len(body) + 4) + body

    async def probe() -> bool:
        return _says_ready(pid_file) and await _exchange(port, request, 1) == b"R"

    return probe


def valkey_probe(port: int, password: str) -> Probe:
    """True when PING is answered; while the server loads its file it answers -LOADING."""
    request = f"AUTH {password}\r\nPING\r\n".encode()
    expected = b"+OK\r\n+PONG\r\n"

    async def probe() -> bool:
        return await _exchange(port, request, len(expected)) == expected

    return probe


def _says_ready(pid_file: Path) -> bool:
    try:
        return pid_file.read_text().splitlines()[_STATUS].strip() == "ready"
    except (OSError, IndexError):  # there is none yet, or it is being written
        return False


async def _exchange(port: int, request: bytes, length: int) -> bytes:
    """Send `request` and read `length` bytes; b"" if that fails in any way."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(request)
                return await reader.readexactly(length)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return b""
