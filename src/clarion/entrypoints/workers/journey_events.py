"""The lanes of the journeys role that listen: what users did, and how messages of runs fare."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from clarion.contracts.events import NotificationEvent, decode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS, USER_EVENTS
from clarion.contracts.user_events import UserEvent, decode_user_events
from clarion.journeys.listen import ListenPorts, hear_events, hear_messages
from clarion.orchestration.ports import EventConsumer, LogEntry, Subscription

if TYPE_CHECKING:
    from clarion.journeys.drive import EnginePorts

GROUP: Final = "journeys"
ENTRIES: Final = 64
BLOCK_MS: Final = 500
"""How long a read waits for the first entry; it returns with it at once."""

ABANDONED_MS: Final = 30_000
"""After so long an entry that a worker took and did not ack is another's."""

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
    if events:
        await hear_events(events, ports)
    await listener.done()
    return 0.0


async def listen_to_messages(listener: Listener, ports: EnginePorts) -> float:
    """Tell runs how their messages fare, a portion of it; seconds until the next look."""
    events: Sequence[NotificationEvent] = [
        event for entry in await listener.next() for event in _read(entry) if event.journey_id
    ]
    if events:
        await hear_messages(events, ports)
    await listener.done()
    return 0.0


def _read(entry: LogEntry) -> list[NotificationEvent]:
    try:
        return decode_events(entry.payload)
    except msgspec.MsgspecError:
        _log.error("journey_entry_unreadable", topic=NOTIFICATION_EVENTS.name)
        return []
