"""The open connections with one origin: kept, reused, and not more of them than allowed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from clarion.adapters.providers.base import Unavailable
from clarion.adapters.providers.http.connection import Connection

_MARGIN_S: Final = 1.0
"""How much earlier than the server we let go: whoever writes to a connection as it is closed knows nothing then."""


class PoolLimits(msgspec.Struct, frozen=True):
    """`size`: connections at a time. `idle_s`: how long an unused one is kept, if the server names no shorter time.

    `age_s`: how long any is kept. A vendor moves hosts by changing what its name stands for, and busy connections would
    never learn of it.
    """

    size: int = 256
    idle_s: float = 15.0
    age_s: float = 300.0


class _Kept(msgspec.Struct, frozen=True, gc=False):
    connection: Connection
    until: float


class Pool:
    """Lends connections. Each one taken is given back by `release` (it works) or `discard` (it does not).

    `dial` opens one; `on_empty` is called when none is left, open or waited for.
    """

    def __init__(
        self, dial: Callable[[], Awaitable[Connection]], limits: PoolLimits, on_empty: Callable[[], object]
    ) -> None:
        self._dial = dial
        self._limits = limits
        self._on_empty = on_empty
        self._idle: deque[_Kept] = deque()
        self._born: dict[Connection, float] = {}
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.size = 0

    async def acquire(self) -> Connection:
        """An open connection, the one used last first; it waits while all are lent. Raises what `dial` raises."""
        if self._is_closed:
            raise Unavailable("the transport was closed", "closed")
        now = asyncio.get_running_loop().time()
        while self._idle:
            kept = self._idle.pop()
            if kept.until > now and kept.connection.is_quiet():
                return kept.connection
            self._drop(kept.connection)
        if self.size >= self._limits.size:
            return await self._turn() or await self._open()
        self.size += 1
        return await self._open()

    def release(self, connection: Connection) -> None:
        """Give back a connection after a whole exchange."""
        now = asyncio.get_running_loop().time()
        is_fit = connection.is_open and now - self._born[connection] < self._limits.age_s
        if self._is_closed or not is_fit:
            self.discard(connection)
        elif (turn := self._next_turn()) is not None:
            # Straight to the one that waits longest: else whoever gives back would take again, for ever.
            turn.set_result(connection)
        else:
            named_s = self._limits.idle_s if connection.idle_s is None else connection.idle_s - _MARGIN_S
            idle_s = min(self._limits.idle_s, named_s)
            self._idle.append(_Kept(connection, now + idle_s))
            if self._reaper is None:
                self._reaper = asyncio.get_running_loop().call_later(self._limits.idle_s, self._reap)

    def discard(self, connection: Connection) -> None:
        """Give back a connection that is of no use any more; another may be opened in its place."""
        self._drop(connection)
        self._pass_on()

    def close(self) -> None:
        """End what idles; what is lent ends as it comes back. Who waits is told."""
        self._is_closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            self._drop(self._idle.pop().connection)
        while (turn := self._next_turn()) is not None:
            turn.set_exception(Unavailable("the transport was closed", "closed"))

    async def _open(self) -> Connection:
        """A new connection, in a place that is counted already."""
        try:
            connection = await self._dial()
        except BaseException:
            self._give_back(None)
            self._tell_if_empty()
            raise
        self._born[connection] = asyncio.get_running_loop().time()
        return connection

    async def _turn(self) -> Connection | None:
        """A connection that came free, or None: one may be opened, and is counted already."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)
            # It may have come together with the cancellation: then it is the next one's.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(turn.result())
            raise

    def _give_back(self, lent: Connection | None) -> None:
        if lent is not None:
            self.release(lent)
        else:
            self.size -= 1
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next one that waits open a connection."""
        if self.size < self._limits.size and (turn := self._next_turn()) is not None:
            self.size += 1
            turn.set_result(None)

    def _next_turn(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._born.pop(connection, None)
        self.size -= 1
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self.size == 0 and not self._waiting:
            self._on_empty()

    def _reap(self) -> None:
        """Close what has idled long enough; come back while any idles."""
        now = asyncio.get_running_loop().time()
        self._reaper = None
        kept = [one for one in self._idle if one.until > now and one.connection.is_open]
        gone = [one for one in self._idle if not (one.until > now and one.connection.is_open)]
        self._idle = deque(kept)
        for one in gone:
            self._drop(one.connection)
        if self._idle:
            pause_s = max(_MARGIN_S, self._idle[0].until - now)
            self._reaper = asyncio.get_running_loop().call_later(pause_s, self._reap)
