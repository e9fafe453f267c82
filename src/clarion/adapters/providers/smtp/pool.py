"""The open connections of one account: kept, reused, and not more of them than allowed.

A server that refuses a connection is left alone for a while, longer each time it does so again. Whoever needs a
connection then shares those that are open; with none open, it fails at once instead of knocking again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
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
    """Lends connections. Each one taken is given back by `release` (it works) or `discard` (it does not).

    Connections are opened beside those who wait, so that a server which leaves the last of many unanswered for ten
    seconds does not keep a message from a connection that has meanwhile come free.
    """

    def __init__(
        self, open_connection: Callable[[], Awaitable[Connection]], limits: PoolLimits, clock: Clock
    ) -> None:
        self._open_connection = open_connection
        self._limits = limits
        self._clock = clock
        self._idle: deque[tuple[float, Connection]] = deque()
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._openers: set[asyncio.Task[None]] = set()
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
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.is_open:
                return connection
            self.discard(connection)
        turn: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._serve_waiting()
        try:
            return await turn
        except asyncio.CancelledError:
            # The connection may have come together with the cancellation: then it is the next one's.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release(turn.result())
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)
            raise

    def release(self, connection: Connection) -> None:
        """Give back a connection after a transaction: kept for the next, unless it is closed or has served enough."""
        if self._closed or not connection.is_open:
            self.discard(connection)
        elif connection.sent >= self._limits.uses:
            self._dismiss(connection)
        elif (turn := self._next_turn()) is not None:
            # Straight to the one that waits longest: else whoever gives back would take again, for ever.
            turn.set_result(connection)
        else:
            loop = asyncio.get_running_loop()
            self._idle.append((loop.time(), connection))
            if self._reaper is None:
                self._reaper = loop.call_later(self._limits.idle_s, self._reap)

    def discard(self, connection: Connection) -> None:
        """Give back a connection that is of no use any more."""
        connection.abort()
        self.size -= 1
        self._serve_waiting()

    def back_off(self) -> None:
        """Open no further connection for a while: the server refused one, or asked for less."""
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._refusals, 16))
        # Twenty that are refused together are one refusal.
        if self._clock.monotonic() >= self._knock_at:
            self._refusals += 1
            self._knock_at = self._clock.monotonic() + pause_s

    async def close(self) -> None:
        """Take leave on all idle connections; lent ones are closed as they come back. Who waits is told."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for opener in self._openers:
            opener.cancel()
        while self._idle:
            self._dismiss(self._idle.popleft()[1])
        self._refuse_waiting(Unavailable("the provider was closed", "closed"))
        if last := self._openers | self._farewells:
            await asyncio.wait(last)

    def _serve_waiting(self) -> None:
        """Open a connection for the next one that waits, if one may be opened; with none to come, let all go."""
        if not self._waiting:
            return
        pause_s = self._knock_at - self._clock.monotonic()
        if self._closed:
            self._refuse_waiting(Unavailable("the provider was closed", "closed"))
        elif self.size < self._limits.size and pause_s <= 0:
            self.size += 1
            _start(self._open(), self._openers)
        elif self.size == 0:
            msg = f"the server refused a connection; next try in {max(0.0, pause_s):.1f} s"
            self._refuse_waiting(Unavailable(msg, "backing_off"))

    async def _open(self) -> None:
        try:
            connection = await self._open_connection()
        except asyncio.CancelledError:
            self.size -= 1
            raise
        except Exception as error:  # noqa: BLE001  those who wait must hear of it, whatever it is
            self.size -= 1
            self.back_off()
            if self.size == 0:
                unforeseen = Unavailable("no connection could be opened", type(error).__name__)
                self._refuse_waiting(error if isinstance(error, Unavailable) else unforeseen)
        else:
            self._refusals = 0
            self.release(connection)

    def _next_turn(self) -> asyncio.Future[Connection] | None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None

    def _refuse_waiting(self, error: Unavailable) -> None:
        while (turn := self._next_turn()) is not None:
            # An error each: one raised by many would gather the tracebacks of all.
            turn.set_exception(Unavailable(error.detail, error.code))

    def _dismiss(self, connection: Connection) -> None:
        self.size -= 1
        _start(connection.quit(), self._farewells)
        self._serve_waiting()

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


def _start(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    among.add(task)
    task.add_done_callback(among.discard)
