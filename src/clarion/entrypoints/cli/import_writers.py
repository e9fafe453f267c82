"""Who writes an import's users into the store: this process itself, or, for a large file, one process a core.

Checking, sealing and encoding a user is 30 µs of CPU, three quarters of what an import takes: one process of Python
that does all of it writes 15 000 to 21 000 users a second, however many connections it has.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from multiprocessing import get_context
from typing import Final, Protocol, TypeAlias, TypeVar

import msgspec
import uvloop

from clarion.adapters.embedded.processes import die_with_parent
from clarion.audience.devices import owners_of
from clarion.audience.profile import UserItem
from clarion.audience.users import Change, Upserted, upsert_users
from clarion.bootstrap import Region, open_region
from clarion.entrypoints.tuning import settle_memory
from clarion.kernel.errors import ClarionError, Invalid, Transient
from clarion.settings import Settings

T = TypeVar("T")

PARALLEL_FROM: Final = 8 << 20
"""Bytes of a file from which on other processes write: they take a second to start."""

MOST: Final = 4
"""Writing processes at most: by then Postgres is what an import waits for."""

PATIENCE_S: Final = 60.0
"""How long a store may be away."""

RETRY_S: Final = 0.5


class Rejected(msgspec.Struct, frozen=True):
    """Why the store did not take a user: a sentence, and the path of what is wrong."""

    detail: str
    path: str = ""


Verdict: TypeAlias = Change | Rejected


class Writer(Protocol):
    """Writes users of one tenant."""

    async def write(self, users: Sequence[UserItem]) -> list[Verdict]:
        """What became of each, in order. Raises Transient where a store stays away for PATIENCE_S."""
        ...


class OwnWriter:
    """Writes in this process: users into the store, and their old cards out of the cache."""

    def __init__(self, region: Region, tenant_id: bytes) -> None:
        self._region = region
        self._tenant_id = tenant_id

    async def write(self, users: Sequence[UserItem]) -> list[Verdict]:
        """See `Writer.write`."""
        region = self._region
        items = [(user.user_id, user) for user in users]

        async def upsert() -> list[Upserted | ClarionError]:
            results = await upsert_users(self._tenant_id, items, region.users, region.keyring, region.sealer)
            busy = next((result for result in results if isinstance(result, Transient)), None)
            if busy is not None:
                raise busy
            return results

        owners = await _patiently(lambda: owners_of(self._tenant_id, users, region.devices, region.sealer))
        results = await _patiently(upsert)
        updated = [r.external_id for r in results if isinstance(r, Upserted) and r.change == "updated"]
        if updated or owners:
            await _patiently(lambda: region.card_cache.drop(self._tenant_id, [*updated, *owners]))
        return [_verdict(result) for result in results]


class PoolWriter:
    """Writes in other processes, which live as long as this one at most."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    async def write(self, users: Sequence[UserItem]) -> list[Verdict]:
        """See `Writer.write`. Raises Transient also where a writing process died."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _write_there, list(users))
        except BrokenProcessPool:
            raise Transient("a writing process died; the same command goes on from here") from None


def worth(size: int) -> int:
    """How many processes a file of `size` bytes is worth."""
    return 1 if size < PARALLEL_FROM else min(os.cpu_count() or 1, MOST)


@asynccontextmanager
async def open_writer(
    settings: Settings, region: Region, tenant_id: bytes, processes: int
) -> AsyncGenerator[Writer]:
    """A writer of so many processes; of one: this one."""
    if processes == 1:
        yield OwnWriter(region, tenant_id)
        return
    # Not forked: what this process has open (connections, the loop) is of no use to another.
    pool = ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_begin_there, initargs=(settings, tenant_id, os.getpid())
    )
    try:
        yield PoolWriter(pool)
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer, however often it takes while a store is away. Raises Transient after PATIENCE_S."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await call()
        except Transient:
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(RETRY_S)


def _verdict(result: Upserted | ClarionError) -> Verdict:
    if isinstance(result, Upserted):
        return result.change
    return Rejected(result.detail, result.path if isinstance(result, Invalid) else "")


class _There:
    """What a writing process has: its loop, and the writer that runs on it."""

    def __init__(self, settings: Settings, tenant_id: bytes) -> None:
        self._loop = uvloop.new_event_loop()
        self._opened = open_region(settings, "import")
        region = self._loop.run_until_complete(self._opened.__aenter__())
        self._writer = OwnWriter(region, tenant_id)

    def write(self, users: list[UserItem]) -> list[Verdict]:
        """The verdicts on users."""
        return self._loop.run_until_complete(self._writer.write(users))


_there: list[_There] = []
"""Of a writing process: a pool's functions have no other place for it."""


def _begin_there(settings: Settings, tenant_id: bytes, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which lets us finish
    die_with_parent(parent, signal.SIGKILL)
    _there.append(_There(settings, tenant_id))
    settle_memory()


def _write_there(users: list[UserItem]) -> list[Verdict]:
    # Pickled, not encoded: what no encoding takes (lone surrogates, huge numbers) is refused by the check, by record.
    return _there[0].write(users)
