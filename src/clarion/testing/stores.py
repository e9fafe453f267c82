"""One embedded Postgres and one Valkey for a whole test session, shared by its processes.

The first process that asks starts an *owner*, a process of its own, which supervises the stores. Every process that
asked holds a shared lock on a file; the owner waits for the exclusive lock. The kernel gives it when the last of them
is gone, however it ended, and then the owner stops the stores, removes their data and ends. If the owner is killed,
the kernel ends the stores with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from clarion.adapters.embedded import (
    Claim,
    DataDirectory,
    PostgresOptions,
    StoreOptions,
    Supervisor,
    ValkeyOptions,
    running_pid,
    start_stores,
    store_urls,
)

_OPTIONS = StoreOptions(
    # As durable as in production, so that tests see the real order of things; small, because a test's data is.
    postgres=PostgresOptions(shared_buffers_mb=64, max_connections=200, max_wal_mb=256),
    valkey=ValkeyOptions(debug=True),
)
_OWNER = "import sys; from clarion.testing.stores import own; own(sys.argv[1], int(sys.argv[2]))"
_DATA = "stores"
_USERS = "users.lock"


@dataclass(frozen=True, slots=True)
class SharedStores:
    """Where the session's stores are. `postgres_url` is the superuser's: create roles and databases with it only."""

    postgres_url: str
    valkey_url: str


@contextlib.contextmanager
def shared_stores(root: Path) -> Generator[SharedStores]:
    """The stores of a test session, started if no other process of it has done so; blocks until they serve.

    A session is all processes that name the same folder `root` (with pytest-xdist: the parent of each worker's base
    temporary folder). The stores live at least as long as the context of one process. Raises RuntimeError, with the
    owner's log, if they cannot be started.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / _USERS, fcntl.LOCK_SH):
        with _locked(root / "start.lock", fcntl.LOCK_EX):
            directory = DataDirectory(root.absolute() / _DATA)
            if running_pid(directory) is None:
                _start_owner(root.absolute())
            urls = store_urls(directory)
        if urls.postgres is None or urls.valkey is None:
            raise RuntimeError(f"the owner of {root} serves, but its ports are unknown")
        yield SharedStores(urls.postgres, urls.valkey)


def own(root: str, ready: int) -> None:
    """The owner's whole life: start the stores in `root`, write to the descriptor `ready`, wait, clean up."""
    asyncio.run(_own(Path(root), ready))


async def _own(root: Path, ready: int) -> None:
    directory = DataDirectory.open(root / _DATA)
    async with Claim(directory) as claim, Supervisor(claim) as supervisor:
        await start_stores(supervisor, _OPTIONS)
        os.write(ready, b"ready")
        os.close(ready)
        users = os.open(
            root / _USERS, os.O_RDWR
        )  # never closed: whoever asks from now on waits until we are gone
        await asyncio.to_thread(fcntl.flock, users, fcntl.LOCK_EX)
    shutil.rmtree(directory.root, ignore_errors=True)


def _start_owner(root: Path) -> None:
    """Start the owner and return when the stores serve."""
    log = root / "owner.log"
    heard, told = os.pipe()
    os.set_inheritable(told, True)  # noqa: FBT003  the standard library's order
    try:
        # Not a Popen: nobody waits for the owner, which outlives us, and a forgotten Popen is a ResourceWarning.
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", _OWNER, str(root), str(told)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(told)
    try:
        serves = os.read(heard, 16)  # empty when the owner has ended without a word
    finally:
        os.close(heard)
    if not serves:
        raise RuntimeError(f"the test stores could not be started:\n{log.read_text()}")


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Generator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, kind)
        yield
    finally:
        os.close(handle)
