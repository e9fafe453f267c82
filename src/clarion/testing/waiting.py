"""Waiting for something outside this process, which gives no signal: ask again and again, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

POLL_S: Final = 0.05
PATIENCE_S: Final = 60.0

T = TypeVar("T")


async def eventually(
    ask: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool] = bool,
    *,
    within_s: float = PATIENCE_S,
    every_s: float = POLL_S,
) -> T:
    """The first answer of `ask` that `holds`, asked every `every_s` seconds.

    Raises TimeoutError with the last answer after `within_s` seconds; what `ask` raises ends the wait.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + within_s
    while not holds(answer := await ask()):
        if loop.time() > give_up:
            raise TimeoutError(f"after {within_s} s it still was {answer!r}")
        await asyncio.sleep(every_s)
    return answer
