"""Both stores of an instance: started side by side, found again by other commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from clarion.adapters.embedded import postgres, valkey
from clarion.adapters.embedded.claim import Claim, running_pid
from clarion.adapters.embedded.directory import DataDirectory
from clarion.adapters.embedded.errors import StartFailed
from clarion.adapters.embedded.model import ChildSpec
from clarion.adapters.embedded.ports import Ports, is_free
from clarion.adapters.embedded.postgres import PostgresOptions, postgres_child, postgres_url
from clarion.adapters.embedded.supervisor import Supervisor
from clarion.adapters.embedded.valkey import ValkeyOptions, valkey_child, valkey_url

_PORT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Which stores to start (None: an external one is used instead) and how large they are."""

    postgres: PostgresOptions | None = field(default_factory=PostgresOptions)
    valkey: ValkeyOptions | None = field(default_factory=ValkeyOptions)


@dataclass(frozen=True, slots=True)
class StoreUrls:
    """Where the embedded stores are, passwords included; None for one that is not embedded."""

    postgres: str | None
    valkey: str | None


async def start_stores(supervisor: Supervisor, options: StoreOptions) -> StoreUrls:
    """Start the stores side by side, each on the port of the last time if it is free, and return when both serve.

    They are restarted when they die and stopped by the supervisor after everything else. Raises StartFailed,
    DirectoryUnusable, AlreadyRunning, BinaryMissing. After a crash it takes as long as the recovery takes.
    """
    claim = supervisor.claim
    starts: list[Coroutine[object, object, None]] = []
    if (postgres_options := options.postgres) is not None:
        starts.append(
            _start(supervisor, postgres.NAME, lambda port: postgres_child(claim, port, postgres_options))
        )
    if (valkey_options := options.valkey) is not None:
        starts.append(_start(supervisor, valkey.NAME, lambda port: valkey_child(claim, port, valkey_options)))
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    urls = store_urls(claim.directory)
    return StoreUrls(
        postgres=urls.postgres if options.postgres else None,
        valkey=urls.valkey if options.valkey else None,
    )


def store_urls(directory: DataDirectory) -> StoreUrls:
    """Where the stores of this directory are, or were when they last ran."""
    known = Ports(directory).known()
    postgres_port = known.get(postgres.NAME) if directory.postgres.exists() else None
    valkey_port = known.get(valkey.NAME) if directory.valkey.exists() else None
    return StoreUrls(
        postgres=None if postgres_port is None else postgres_url(directory, postgres_port),
        valkey=None if valkey_port is None else valkey_url(directory, valkey_port),
    )


@contextlib.asynccontextmanager
async def borrow_stores(path: Path) -> AsyncGenerator[StoreUrls]:
    """The stores of an instance for a single command: those that run, or else started for as long as this lasts.

    Raises DirectoryUnusable if no instance was ever there, and what `start_stores` raises.
    """
    directory = DataDirectory.existing(path)
    if running_pid(directory) is not None:
        yield store_urls(directory)
        return
    options = StoreOptions(
        postgres=PostgresOptions() if directory.postgres.exists() else None,
        valkey=ValkeyOptions() if directory.valkey.exists() else None,
    )
    async with Claim(directory) as claim, Supervisor(claim) as supervisor:
        yield await start_stores(supervisor, options)


async def _start(supervisor: Supervisor, name: str, prepare: Callable[[int], Awaitable[ChildSpec]]) -> None:
    ports = Ports(supervisor.claim.directory)
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        port = ports.choose(name)
        try:
            await supervisor.start(await prepare(port))
        except StartFailed:
            if is_free(port) or attempt == _PORT_ATTEMPTS:
                raise  # it was not for the port, which another program may take between the choice and the start
        else:
            return
