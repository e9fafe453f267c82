"""The errors of a stream's server as ours."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Final

from redis.exceptions import (
    BusyLoadingError,
    ClusterError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from clarion.kernel.errors import Permanent, Transient

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
_TRANSIENT_WORDS: Final = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOGROUP", "NOREPLICAS", "OOM", "UNBLOCKED"}
)
"""Codes of refusals that pass. NOGROUP, UNBLOCKED: the server has just lost its data; groups are made anew."""

_CODE: Final = re.compile("[A-Z]{2,}")


@contextlib.asynccontextmanager
async def guarded(timeout_s: float) -> AsyncGenerator[None]:
    """A span of talk with the server, of at most `timeout_s` seconds.

    Raises Transient where the server is away, hung, full or failing over (what was sent may have had its effect),
    Permanent where it refuses a command as such.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except _TRANSIENT as exc:
        detail = f"the event log is not available ({type(exc).__name__})"
        raise Transient(detail) from exc
    except RedisError as exc:
        # In a pipeline the code does not come first: "Command # 1 (XADD …) of pipeline caused error: ('OOM …".
        found = _CODE.search(str(exc).rpartition("caused error: ")[2])
        code = found[0] if found else "?"
        detail = f"the event log refused a command ({code})"
        raise (Transient(detail) if code in _TRANSIENT_WORDS else Permanent(detail)) from exc
