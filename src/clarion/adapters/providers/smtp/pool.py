"""The open connections of one account: kept, reused, and not more of them than allowed.

A server that refuses a connection is left alone for a while, longer each time it does so again. Whoever needs a
connection then shares those that are open; with none open, it fails at once instead of knocking again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from clarion.adapters.providers.base import Unavailable
from clarion.adapters.providers.smtp.connection import Connection
from clarion.kernel.clock import Clock

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0


class PoolLimits(msgspec.Struct, frozen=True):
    """`size`: connections at a time. `idle_s`: how long an unused one is kept. `uses`: messages a connection.

    Servers hang up on connections that idle (300 s is usual) or live long; those that hang up without a word cost a
    message an attempt, so these stay well below.
    """

    size: int
    idle_s: float = 30.0
    uses: int = 500


class ConnectionPool:
    """Lends connections. Each one taken is given back by `release` (it works) or `discard` (it does not)."""

    def __init__(
        self, open_connection: Callable[[], Awaitable[Connection]], limits: PoolLimits, clock: Clock
    ) -> None:
        self._open_connection = open_connection
        self._limits = limits
        self._clock = clock
        self._idle: deque[tuple[float, Connection]] = deque()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._farewells: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self._refusals = 0
        self._knock_at = clock.monotonic()
        self.size = 0

    async def acquire(self) -> Connection:
        """An open connection, the one used last first; it waits while all are lent.

        Raises Unavailable where none is open and the server refuses another, or did so a moment ago.
        """
        while not self._closed:
            if (connection := self._take_idle()) is not None:
                return connection
            pause_s = self._knock_at - self._clock.monotonic()
            if self.size < self._limits.size and pause_s <= 0:
                try:
                    return await self._open()
                except Unavailable:
                    if self.size == 0:
                        raise
            elif self.size == 0:
                msg = f"the server refused a connection; next try in {max(0.0, pause_s):.1f} s"
                raise Unavailable(msg, "backing_off")
            elif (connection := await self._wait()) is not None:
                return connection
        msg = "the provider was closed"
        raise Unavailable(msg, "closed")

    def release(self, connection: Connection) -> None:
        """Give back a connection after a transaction: kept for the next, unless it is closed or has served enough."""
        if not connection.is_open:
            self.discard(connection)
        elif self._closed or connection.sent >= self._limits.uses:
            self._dismiss(connection)
        elif not self._hand_over(connection):
            loop = asyncio.get_running_loop()
            self._idle.append((loop.time(), connection))
            if self._reaper is None:
                self._reaper = loop.call_later(self._limits.idle_s, self._reap)

    def discard(self, connection: Connection) -> None:
        """Give back a connection that is of no use any more."""
        connection.abort()
        self._forget()

    def back_off(self) -> None:
        """Open no further connection for a while: the server refused one, or asked for less."""
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._refusals, 16))
        # Twenty that are refused together are one refusal.
        if self._clock.monotonic() >= self._knock_at:
            self._refusals += 1
            self._knock_at = self._clock.monotonic() + pause_s

    async def close(self) -> None:
        """Take leave on all idle connections; lent ones are closed as they come back."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            self._dismiss(self._idle.popleft()[1])
        self._call_all()
        if self._farewells:
            await asyncio.wait(self._farewells)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.is_open:
                return connection
            self.discard(connection)
        return None

    async def _open(self) -> Connection:
        self.size += 1
        try:
            connection = await self._open_connection()
        except BaseException as error:
            if isinstance(error, Unavailable):
                self.back_off()
            self._forget()
            raise
        self._refusals = 0
        return connection

    async def _wait(self) -> Connection | None:
        """A connection that somebody gave back; None: something else changed, look again."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # The turn may have come together with the cancellation: then it is the next one's.
            if turn.done() and not turn.cancelled():
                connection = turn.result()
                if connection is None:
                    self._hand_over(None)
                else:
                    self.release(connection)
            raise

    def _hand_over(self, connection: Connection | None) -> bool:
        """Give the one that waits longest its turn, straight: else whoever gives back would take again, for ever."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _call_all(self) -> None:
        while self._hand_over(None):
            pass

    def _forget(self) -> None:
        self.size -= 1
        if self.size:
            self._hand_over(None)
        else:
            # None is left to wait for: each finds out for itself that there is nothing to come.
            self._call_all()

    def _dismiss(self, connection: Connection) -> None:
        self._forget()
        farewell = asyncio.get_running_loop().create_task(connection.quit())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    def _reap(self) -> None:
        """Close what has idled long enough; come back when the next one will have."""
        loop = asyncio.get_running_loop()
        self._reaper = None
        while self._idle:
            since, connection = self._idle[0]
            left_s = since + self._limits.idle_s - loop.time()
            if left_s > 0:
                self._reaper = loop.call_later(left_s, self._reap)
                return
            self._idle.popleft()
            self._dismiss(connection)
