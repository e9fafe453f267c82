"""Connections to Valkey (or Redis, or a cluster of either), and what every adapter here shares: scripts and errors.

redis-py's defaults are dangerous in three ways, and this file is where they are undone: it repeats a write whose
reply was lost (`INCR` counts twice), it gives blocking commands 5 s and then hangs in retries, and its pool refuses
instead of waiting. So there are three clients, and callers choose by what the command does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.resources
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from clarion.kernel.errors import Permanent, Transient

CONNECT_TIMEOUT_S: Final = 1.0
COMMAND_TIMEOUT_S: Final = 5.0
"""Upper bound of any call; callers on a request's path pass a shorter one."""

MAX_CONNECTIONS: Final = 32
"""Of each client, on each node. One connection carries about 10 k commands/s, and everything comes in batches."""

READ_RETRIES: Final = 2

ScriptArgument: TypeAlias = bytes | str | int | float

_SCHEMES: Final = {"valkey://": "redis://", "valkeys://": "rediss://"}
_TRANSIENT: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ClusterError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TryAgainError,
    OSError,
    TimeoutError,
)
_TRANSIENT_CODES: Final = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "UNBLOCKED",
)
"""First words of answers that have no class in redis-py. MISCONF: the disk is full and the server refuses writes."""


class ValkeyClient(Protocol):
    """What the adapters use of redis-py, whose two clients agree on no more than this (and have few types)."""

    def execute_command(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Run one command; bytes come back. Raises what redis-py raises: use it inside `guarded`."""
        ...

    def pipeline(self, transaction: Any = None) -> Any:  # noqa: ANN401  two unrelated pipeline classes
        """A redis-py pipeline. On a cluster it takes no EVALSHA, and only one slot if it is a transaction."""
        ...

    async def aclose(self) -> None:
        """Close the connections. The next command opens new ones."""
        ...


class PatientCluster:
    """A cluster client that waits for a free connection, where redis-py's own raises MaxConnectionsError at once."""

    def __init__(self, cluster: ValkeyClient, places: int) -> None:
        self._cluster = cluster
        self._places = asyncio.Semaphore(places)

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  see ValkeyClient
        """Run one command when a place is free."""
        async with self._places:
            try:
                return await self._cluster.execute_command(*args, **options)
            except AttributeError as exc:
                # redis-py closed the connection (another caller met a failure) while this command was being written.
                message = "the connection was cut"
                raise RedisConnectionError(message) from exc

    def pipeline(self, transaction: Any = None) -> Any:  # noqa: ANN401  see ValkeyClient
        """A redis-py cluster pipeline; it takes no place, so it lives on the connections above `places`."""
        return self._cluster.pipeline(transaction)

    async def aclose(self) -> None:
        """Close the connections to all nodes."""
        await self._cluster.aclose()


class Script(msgspec.Struct, frozen=True):
    """A Lua script and its SHA-1, by which the server knows it."""

    source: str
    sha: str


class ValkeyClients(msgspec.Struct, frozen=True):
    """The three ways to talk to one Valkey. Values come as bytes, never decoded.

    `write` runs a command at most once: a lost reply is a Transient, and the caller knows whether to repeat.
    `read` repeats a command whose connection failed, so only commands without effect belong there.
    `blocking` has no time limit of its own, for BLPOP and XREADGROUP: its callers bound the wait.
    """

    write: ValkeyClient
    read: ValkeyClient
    blocking: ValkeyClient
    is_cluster: bool

    async def server_time_ms(self) -> int:
        """The server's clock in ms since 1970-01-01 UTC (on a cluster: one node's). Raises Transient."""
        target = {"target_nodes": RedisCluster.RANDOM} if self.is_cluster else {}
        async with guarded():
            answer = await self.read.execute_command("TIME", **target)
        seconds, micros = answer
        return int(seconds) * 1000 + int(micros) // 1000

    async def close(self) -> None:
        """Release all connections. Idempotent."""
        for client in (self.write, self.read, self.blocking):
            await client.aclose()


async def connect(url: str) -> ValkeyClients:
    """Clients for the server at `url` (`valkey://`, `valkeys://`, `redis://`, `rediss://` or `unix://`).

    A server that runs in cluster mode is recognised, and any one of its nodes will do as the URL. Raises Transient
    where the server does not answer, Permanent where it refuses us, ValueError for a URL of another scheme.
    """
    for scheme, known in _SCHEMES.items():
        if url.startswith(scheme):
            url = known + url.removeprefix(scheme)
    async with guarded():
        is_cluster = await _cluster_enabled(url)
    make = _cluster if is_cluster else _single
    no_retry = Retry(NoBackoff(), 0)
    # A hung server times out, and is not asked again: only a broken connection is worth a second try.
    read_retry = Retry(
        ExponentialWithJitterBackoff(base=0.01, cap=0.1), READ_RETRIES, (RedisConnectionError,)
    )
    clients = ValkeyClients(
        write=make(url, no_retry, COMMAND_TIMEOUT_S),
        read=make(url, read_retry, COMMAND_TIMEOUT_S),
        blocking=make(url, no_retry, None),
        is_cluster=is_cluster,
    )
    if is_cluster:
        await _explore(clients)
    return clients


async def _explore(clients: ValkeyClients) -> None:
    """Let each client learn the cluster's nodes and slots before its first use.

    What redis-py is given before that, it sends to any node, whatever the key; the fifth MOVED then makes it cut all
    its connections, with everything that others have under way on them.
    """
    try:
        async with guarded():
            for client in (clients.write, clients.read, clients.blocking):
                await client.execute_command("PING", target_nodes=RedisCluster.RANDOM)
    except BaseException:
        await clients.close()
        raise


async def _cluster_enabled(url: str) -> bool:
    probe = _single(url, Retry(NoBackoff(), 0), COMMAND_TIMEOUT_S)
    try:
        info = await probe.execute_command("INFO", "cluster")
    finally:
        await probe.aclose()
    return bool(int(info["cluster_enabled"]))


def _single(url: str, retry: Retry, socket_timeout: float | None) -> ValkeyClient:
    options: dict[str, Any] = _options(url, retry, socket_timeout)
    pool = BlockingConnectionPool(max_connections=MAX_CONNECTIONS, timeout=COMMAND_TIMEOUT_S, **options)
    return Redis.from_pool(pool)


def _cluster(url: str, retry: Retry, socket_timeout: float | None) -> ValkeyClient:
    options: dict[str, Any] = _options(url, retry, socket_timeout)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    cluster = RedisCluster(
        max_connections=2 * MAX_CONNECTIONS,
        require_full_coverage=False,  # one node down must not take the slots of the others down
        **options,
    )
    return PatientCluster(cluster, MAX_CONNECTIONS)


def _options(url: str, retry: Retry, socket_timeout: float | None) -> dict[str, Any]:
    return {
        **parse_url(url),
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": socket_timeout,
        "retry": retry,
        "protocol": 2,
    }


@contextlib.asynccontextmanager
async def guarded(timeout_s: float = COMMAND_TIMEOUT_S) -> AsyncGenerator[None]:
    """A span of talk with Valkey: it ends after `timeout_s` seconds, and its errors are ours.

    Raises Transient where the server is away, hung, full, loading or failing over (whether the last command took
    effect is then unknown), Permanent where it refuses a command as such.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except _TRANSIENT as exc:
        detail = f"Valkey is not available ({type(exc).__name__})"
        raise Transient(detail) from exc
    except RedisError as exc:
        code = str(exc).partition(" ")[0]
        detail = f"Valkey refused a command ({code})"
        raise (Transient(detail) if code in _TRANSIENT_CODES else Permanent(detail)) from exc


def make_script(source: str) -> Script:
    """A script from its source."""
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def load_script(*names: str) -> Script:
    """The script made of the files `lua/NAME.lua`, joined in order: shared functions first, then the script itself."""
    folder = importlib.resources.files("clarion.adapters.valkey") / "lua"
    return make_script("\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names))


async def call_script(
    client: ValkeyClient,
    script: Script,
    keys: Sequence[str | bytes],
    args: Sequence[ScriptArgument],
    timeout_s: float = COMMAND_TIMEOUT_S,
) -> Any:  # noqa: ANN401  as many shapes as there are scripts
    """Run `script` on the node that holds `keys`, all of one slot; it is loaded where the server has lost it.

    Raises Transient and Permanent as `guarded` does. A script is atomic, but after a Transient it may have run.
    """
    async with guarded(timeout_s):
        try:
            return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
        except (
            NoScriptError
        ):  # a restart, a failover or SCRIPT FLUSH: nothing has run, so this is no repetition
            return await client.execute_command("EVAL", script.source, len(keys), *keys, *args)
