"""The connections: which role may do what, and how a tenant's transaction begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.codecs import register_codecs
from clarion.adapters.postgres.errors import mapped

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

COMMAND_TIMEOUT_S: Final = 30.0
ACQUIRE_TIMEOUT_S: Final = 5.0


class PostgresUrls(msgspec.Struct, frozen=True):
    """Where each role connects: `keys` to the database of the users' data keys, all others to the regional one.

    `otherwise`: with which passwords they try where these are wrong, while the master key is being changed.
    """

    pipeline: str
    reader: str
    keys: str
    audit: str
    otherwise: PostgresUrls | None = None


class Pools:
    """The region's connection pools. Build with `open_pools`, end with `close`."""

    def __init__(
        self, pipeline: asyncpg.Pool, reader: asyncpg.Pool, keys: asyncpg.Pool, audit: asyncpg.Pool
    ) -> None:
        self._pipeline = pipeline
        self._reader = reader
        self._keys = keys
        self._audit = audit

    @asynccontextmanager
    async def pipeline(self) -> AsyncGenerator[PoolConnectionProxy]:
        """A connection that may COPY and is not bound to a tenant: for accept and workers only."""
        async with mapped(), self._pipeline.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            yield connection

    @asynccontextmanager
    async def reader(self, tenant_id: bytes) -> AsyncGenerator[PoolConnectionProxy]:
        """A read-only transaction that sees this tenant's rows only (forced row-level security)."""
        async with (
            mapped(),
            self._reader.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant_id.hex())
            yield connection

    @asynccontextmanager
    async def keys(self) -> AsyncGenerator[PoolConnectionProxy]:
        """A connection to the database of the users' data keys."""
        async with mapped(), self._keys.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            yield connection

    @asynccontextmanager
    async def audit(self, tenant_id: bytes) -> AsyncGenerator[PoolConnectionProxy]:
        """A transaction that can add to this tenant's audit log, and do nothing else."""
        async with (
            mapped(),
            self._audit.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
            connection.transaction(),
        ):
            await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant_id.hex())
            yield connection

    async def now_ms(self) -> int:
        """The store's clock, in UTC milliseconds."""
        async with self.pipeline() as connection:
            return int(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp()) * 1000"))

    async def close(self) -> None:
        """Close every pool; connections still in use get 5 seconds."""
        for pool in (self._pipeline, self._reader, self._keys, self._audit):
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing: what is set here is set for a transaction. The usual reset costs a round trip at each release."""
    del connection


async def _open(urls: tuple[str, str], size: int, name: str, *, kept: int = 1) -> asyncpg.Pool:
    """A pool of at most `size` connections, of which `kept` are made now.

    Each connection is made with the first of the URLs whose password is right by then.
    """
    *first, last = dict.fromkeys(urls)

    async def connect(dsn: str | None = None, **options: Any) -> asyncpg.Connection:
        del dsn
        for url in first:
            with suppress(asyncpg.InvalidPasswordError):
                return await asyncpg.connect(url, **options)
        return await asyncpg.connect(last, **options)

    async with mapped():
        return await asyncpg.create_pool(
            urls[0],
            connect=connect,
            min_size=kept,
            max_size=size,
            init=register_codecs,
            reset=_leave_as_it_is,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"application_name": name, "timezone": "UTC", "jit": "off"},
        )


async def open_pools(urls: PostgresUrls, *, size: int, name: str) -> Pools:
    """Connect the pools; `size` connections at most each. Raises Transient where a server does not answer."""
    other = urls.otherwise or urls
    pipeline, reader, keys, audit = await asyncio.gather(
        _open((urls.pipeline, other.pipeline), size, name),
        _open((urls.reader, other.reader), size, name),
        _open((urls.keys, other.keys), 4, name),
        # Acts of administrators are rare, and most processes see none.
        _open((urls.audit, other.audit), 2, name, kept=0),
    )
    return Pools(pipeline, reader, keys, audit)
