"""Ports of the instance: free ones, and the same after a restart."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random, SystemRandom

import msgspec

from clarion.adapters.embedded.directory import DataDirectory, write_private

HOST = "127.0.0.1"
_LOWEST = 20_000
_ATTEMPTS = 200


class Ports:
    """The ports of one data directory, kept in `ports.json`."""

    def __init__(self, directory: DataDirectory, random: Random | None = None) -> None:
        self._path = directory.ports
        self._random = random or SystemRandom()

    def known(self) -> dict[str, int]:
        """The ports of the last start, by name. A damaged file counts as none: ports are only a convenience."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def choose(self, name: str) -> int:
        """The port of the last start if it is free, otherwise a new one, which is kept."""
        known = self.known()
        port = known.get(name)
        if port is not None and is_free(port):
            return port
        port = _free_port(self._random, avoid=frozenset(known.values()))
        self.keep(name, port)
        return port

    def keep(self, name: str, port: int) -> None:
        """Remember a port that was chosen elsewhere (by the user)."""
        write_private(self._path, msgspec.json.encode(self.known() | {name: port}) + b"\n", durable=False)


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now. Connections in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port(random: Random, avoid: frozenset[int]) -> int:
    """A free port below the ephemeral range: inside it, any outgoing connection could take it between two starts."""
    highest = _first_ephemeral_port() - 1
    if highest - _LOWEST >= _ATTEMPTS:
        for _ in range(_ATTEMPTS):
            port = random.randint(_LOWEST, highest)
            if port not in avoid and is_free(port):
                return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _first_ephemeral_port() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
