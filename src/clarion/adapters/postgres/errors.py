"""PostgreSQL's errors as ours. One table, most specific first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from clarion.kernel.errors import Ambiguous, ClarionError, Conflict, Permanent, Transient

_TRANSIENT: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.OperatorInterventionError,  # shutdown, crash recovery, cancelled query
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    asyncpg.PostgresIOError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
    OSError,
    asyncio.TimeoutError,
)


def map_error(exc: BaseException) -> ClarionError | None:
    """Our error for one of asyncpg's, or None where it is a bug that must surface as it is."""
    if isinstance(exc, ClarionError):
        return exc
    if isinstance(exc, asyncpg.UniqueViolationError):
        return Conflict(f"already there ({exc.constraint_name})")
    if isinstance(exc, asyncpg.InvalidAuthorizationSpecificationError):
        return Transient(
            "the database refuses our password: CLARION_MASTER_KEY is not the key it was prepared with"
        )
    if isinstance(exc, _TRANSIENT):
        return Transient("the database cannot be reached or is busy; try again")
    if isinstance(exc, asyncpg.DataError):
        return Permanent("the database cannot store a value of this request")
    return None


@asynccontextmanager
async def mapped() -> AsyncGenerator[None]:
    """Raise asyncpg's errors inside the block as ours, chained."""
    try:
        yield
    except Exception as exc:
        mine = map_error(exc)
        if mine is None or mine is exc:
            raise
        raise mine from exc


__all__ = ["Ambiguous", "map_error", "mapped"]
