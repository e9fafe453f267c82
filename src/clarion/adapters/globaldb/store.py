"""Connections to the global store, and its tables."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, Final

import asyncpg

from clarion.adapters.globaldb.errors import with_retries

_COMMAND_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 5.0
_SCHEMA_ATTEMPTS: Final = 5
_HEAD: Final = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load_queries(name: str) -> dict[str, str]:
    """The queries of `sql/{name}.sql` by the name that heads each."""
    parts = _HEAD.split((files("clarion.adapters.globaldb") / "sql" / f"{name}.sql").read_text("utf-8"))[1:]
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


async def open_global_pool(url: str, *others: str, size: int, name: str) -> asyncpg.Pool:
    """At most `size` connections; `name` is shown to the server's operator. Raises Transient where none can be made.

    `others`: with other passwords, for each connection that finds the one before to be wrong.
    """

    async def knock(dsn: str | None = None, **options: Any) -> asyncpg.Connection:
        del dsn
        *first, last = (url, *others)
        for candidate in first:
            with suppress(asyncpg.InvalidPasswordError):
                return await asyncpg.connect(candidate, **options)
        return await asyncpg.connect(last, **options)

    async def connect() -> asyncpg.Pool:
        return await asyncpg.create_pool(
            url,
            connect=knock,
            min_size=0,  # most processes never ask the global store
            max_size=size,
            command_timeout=_COMMAND_TIMEOUT_S,
            reset=_leave_as_it_is,
            server_settings={"application_name": name},
        )

    return await with_retries(connect)


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing: nothing is set on these connections. The usual reset costs a round trip at each release."""
    del connection


async def close_global_pool(pool: asyncpg.Pool) -> None:
    """Close the pool; connections still in use get 5 seconds."""
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_TIMEOUT_S)
    except TimeoutError:
        pool.terminate()


async def apply_schema(url: str) -> None:
    """Make the tables that are missing, as the role of `url`. Safe to run at every start, and twice at once."""
    schema = (files("clarion.adapters.globaldb") / "sql" / "schema.sql").read_text("utf-8")

    async def create() -> None:
        connection = await asyncpg.connect(url, timeout=_COMMAND_TIMEOUT_S)
        try:
            await connection.execute(schema)
        finally:
            await connection.close(timeout=_CLOSE_TIMEOUT_S)

    for attempt in range(_SCHEMA_ATTEMPTS):
        try:
            return await with_retries(create)
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.DuplicateTableError):
            # CREATE … IF NOT EXISTS looks before it leaps: two at once meet in the catalogue's own index.
            if attempt == _SCHEMA_ATTEMPTS - 1:
                raise
    return None
