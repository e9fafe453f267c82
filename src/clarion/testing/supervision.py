"""Waiting for what happens to supervised processes, instead of sleeping."""

from __future__ import annotations

import asyncio

from clarion.adapters.embedded import ChildEvent, EventKind


class EventLog:
    """A listener for a `Supervisor`: keeps every event, and lets a test wait for the next of a kind."""

    def __init__(self) -> None:
        self.events: list[ChildEvent] = []
        self._taken: set[int] = set()
        self._arrived = asyncio.Event()

    def __call__(self, event: ChildEvent) -> None:
        """Take an event; what the supervisor calls."""
        self.events.append(event)
        self._arrived.set()

    def of(self, kind: EventKind) -> list[ChildEvent]:
        """All events of a kind so far, in order."""
        return [event for event in self.events if event.kind is kind]

    async def next(self, name: str, kind: EventKind, within: float = 30.0) -> ChildEvent:
        """The first event of this child and kind that no call has answered with yet. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                for number, event in enumerate(self.events):
                    if number not in self._taken and event.name == name and event.kind is kind:
                        self._taken.add(number)
                        return event
                self._arrived.clear()
                await self._arrived.wait()
