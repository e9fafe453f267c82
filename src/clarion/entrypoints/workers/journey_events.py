"""The lanes of the journeys role that listen: what users did, and how messages of runs fare."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import structlog

from clarion.contracts.events import NotificationEvent, decode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS, USER_EVENTS
from clarion.contracts.user_events import UserEvent, decode_user_events
from clarion.journeys.listen import ListenPorts, hear_events, hear_messages
from clarion.kernel.errors import Transient
from clarion.orchestration.ports import EventConsumer, LogEntry, Subscription

if TYPE_CHECKING:
    from clarion.journeys.drive import EnginePorts

GROUP: Final = "journeys"
ENTRIES: Final = 64
BLOCK_MS: Final = 500
"""How long a read waits for the first entry; it returns with it at once."""

ABANDONED_MS: Final = 30_000
"""After so long an entry that a worker took and did not ack is another's."""

Event = TypeVar("Event", UserEvent, NotificationEvent)

_log = structlog.get_logger("journeys")


class Listener:
    """One consumer of a topic. What it read and could not tell is told again."""

    def __init__(self, log: EventConsumer, subscription: Subscription) -> None:
        self._log = log
        self._subscription = subscription
        self._owed: list[LogEntry] = []

    async def next(self) -> list[LogEntry]:
        """Entries to be told; the same ones again until `done`. Raises Transient."""
        if not self._owed:
            self._owed = await self._log.read(self._subscription, max_entries=ENTRIES, block_ms=BLOCK_MS)
        if not self._owed:
            self._owed = await self._log.claim(self._subscription, idle_ms=ABANDONED_MS, max_entries=ENTRIES)
        return self._owed

    async def done(self) -> None:
        """All were told. Raises Transient."""
        owed, self._owed = self._owed, []
        if owed:
            await self._log.ack(self._subscription, owed)


def events_listener(log: EventConsumer) -> Listener:
    """Listens to what users do."""
    return Listener(log, Subscription(GROUP, socket.gethostname(), USER_EVENTS))


def messages_listener(log: EventConsumer) -> Listener:
    """Listens to how messages fare."""
    return Listener(log, Subscription(GROUP, socket.gethostname(), NOTIFICATION_EVENTS))


async def listen_to_users(listener: Listener, ports: ListenPorts) -> float:
    """Tell journeys what users did, a portion of it; seconds until the next look."""
    events: list[UserEvent] = []
    for entry in await listener.next():
        try:
            events += decode_user_events(entry.payload)
        except msgspec.MsgspecError:
            _log.error("journey_entry_unreadable", topic=USER_EVENTS.name)
    await _tell(events, partial(_hear_events, ports))
    await listener.done()
    return 0.0


async def listen_to_messages(listener: Listener, ports: EnginePorts) -> float:
    """Tell runs how their messages fare, a portion of it; seconds until the next look."""
    events: Sequence[NotificationEvent] = [
        event for entry in await listener.next() for event in _read(entry) if event.journey_id
    ]
    await _tell(events, partial(_hear_messages, ports))
    await listener.done()
    return 0.0


async def _hear_events(ports: ListenPorts, events: Sequence[UserEvent]) -> None:
    await hear_events(events, ports)


async def _hear_messages(ports: EnginePorts, events: Sequence[NotificationEvent]) -> None:
    await hear_messages(events, ports)


async def _tell(events: Sequence[Event], hear: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
    """Tell of events together; where a mistake of ours stops that, of each by itself, so that it stops no other."""
    if not events:
        return
    try:
        await hear(events)
    except Transient:
        raise
    except Exception:  # noqa: BLE001  see above
        _log.exception("journey_events_failed", events=len(events))
        for event in events:
            try:
                await hear([event])
            except Transient:
                raise
            except Exception:  # noqa: BLE001  see above
                _log.exception("journey_event_failed", event_id=event.event_id.hex())


def _read(entry: LogEntry) -> list[NotificationEvent]:
    try:
        return decode_events(entry.payload)
    except msgspec.MsgspecError:
        _log.error("journey_entry_unreadable", topic=NOTIFICATION_EVENTS.name)
        return []
