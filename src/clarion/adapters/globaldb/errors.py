"""The global store's errors as ours, and the retries that SERIALIZABLE asks of its clients."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from clarion.kernel.errors import ClarionError, Transient

ATTEMPTS: Final = 6
BACKOFF_S: Final = 0.02
"""First pause, doubled each time, with full jitter: 0.6 s in all before the caller hears of it."""

T = TypeVar("T")

_RETRIED: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_TRANSIENT: Final = (
    *_RETRIED,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


async def with_retries(run: Callable[[], Awaitable[T]]) -> T:
    """The result of `run`, tried again where the store asks for it (SQLSTATE 40001). `run` must be one transaction.

    Raises Transient where the store is away or stays contended; other errors of the store come through as they are.
    """
    for attempt in range(ATTEMPTS):
        try:
            return await run()
        except ClarionError:
            raise
        except _RETRIED as exc:
            if attempt == ATTEMPTS - 1:
                detail = "the global store is contended; try again"
                raise Transient(detail) from exc
            await asyncio.sleep(random.uniform(0, BACKOFF_S * 2**attempt))  # noqa: S311  jitter, not a secret
        except _TRANSIENT as exc:
            detail = "the global store cannot be reached; try again"
            raise Transient(detail) from exc
    raise AssertionError  # the loop returns or raises
