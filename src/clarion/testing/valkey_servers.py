"""Valkey servers that a test may kill, freeze, wipe and start again, alone or as a cluster of three."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, Protocol, TypeVar

import redis

from clarion.adapters.embedded.binaries import valkey_binary
from clarion.adapters.embedded.ports import HOST, is_free

READY_WITHIN_S: Final = 20.0
_SLOTS: Final = 16_384
_PORTS: Final = range(
    20_000, 32_000
)  # below the ephemeral ones, which any connection could take between two starts
_PR_SET_PDEATHSIG: Final = 1
_prctl = ctypes.CDLL(None).prctl  # resolved before any fork

T = TypeVar("T")


class _Caller(Protocol):
    """The one method of redis-py used here, with the types it lacks."""

    def execute_command(self, *args: str | bytes | int) -> Any: ...  # noqa: ANN401  see ValkeyServer.ask


class ValkeyServer:
    """One server with its data in `folder` (append-only file on). `options` are further settings, by name."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.port = _free_port()
        self.folder = folder
        self._options = {
            "bind": HOST,
            "port": self.port,
            "dir": folder,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": folder / "valkey.log",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"valkey://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, with what is in the folder, and return when it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = [text for name, value in self._options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen(
            [valkey_binary(), *arguments],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call, no lock
        )
        _eventually(lambda: self.ask("PING"))

    def ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401  as many shapes as there are commands
        """The answer to one command, for a test to look behind the adapter. Raises redis-py's errors."""
        with redis.Redis(host=HOST, port=self.port, socket_timeout=5, protocol=2) as client:
            return _call(client, *command)

    def send(self, sign: signal.Signals) -> None:
        """Send a signal (SIGSTOP, SIGCONT)."""
        if self._process is not None:
            self._process.send_signal(sign)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def valkey_server(folder: Path, **options: object) -> Generator[ValkeyServer]:
    """A running server, killed at the end."""
    server = ValkeyServer(folder, **options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def valkey_cluster(folder: Path) -> Generator[Sequence[ValkeyServer]]:
    """The three nodes of a running cluster, without replicas: a node that is down takes its slots with it."""
    nodes = [_cluster_node(folder / str(number)) for number in range(3)]
    try:
        for node in nodes:
            node.start()
        _join(nodes)
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def _cluster_node(folder: Path) -> ValkeyServer:
    return ValkeyServer(
        folder,
        cluster_enabled="yes",
        cluster_port=_free_port(),
        cluster_node_timeout=2000,
        cluster_require_full_coverage="no",
    )


def _call(client: _Caller, *command: str | bytes | int) -> Any:  # noqa: ANN401  see ValkeyServer.ask
    return client.execute_command(*command)


def _join(nodes: Sequence[ValkeyServer]) -> None:
    share = -(-_SLOTS // len(nodes))
    for i, node in enumerate(nodes):
        node.ask("CLUSTER", "ADDSLOTSRANGE", i * share, min(_SLOTS, (i + 1) * share) - 1)
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
    for node in nodes[1:]:
        _, bus_port = node.ask("CONFIG", "GET", "cluster-port")
        nodes[0].ask("CLUSTER", "MEET", HOST, node.port, bus_port)
    for node in nodes:
        # Each says "ok" twice: before it knows the others, and (after "fail") when all three have seen one another.
        _eventually(lambda node=node: _has_joined(node.ask("CLUSTER", "INFO"), len(nodes)))


def _has_joined(info: bytes, size: int) -> bool:
    return {b"cluster_state:ok", b"cluster_size:%d" % size} <= set(info.split(b"\r\n"))


def _eventually(check: Callable[[], T]) -> T:
    """The first true answer of `check`. Raises AssertionError when there is none in READY_WITHIN_S."""
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        with contextlib.suppress(redis.ConnectionError, redis.ResponseError):
            if answer := check():
                return answer
        time.sleep(0.01)
    message = "the server is not ready"
    raise AssertionError(message)


def _free_port() -> int:
    random = SystemRandom()
    while not is_free(port := random.choice(_PORTS)):
        pass
    return port


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
