"""From the outbox to the log: one transaction's events, cut into one payload a partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from clarion.contracts.events import NotificationEvent, encode_events
from clarion.contracts.journey_events import JourneyEvent, encode_journey_events
from clarion.contracts.topics import Topic, partition_of
from clarion.contracts.user_events import UserEvent, encode_user_events


class OfUser(Protocol):
    """An event that is some user's."""

    @property
    def user_id(self) -> int:
        """Whose."""
        ...


E = TypeVar("E", bound=OfUser)


def split_by_partition(events: Iterable[NotificationEvent], topic: Topic) -> list[tuple[int, bytes]]:
    """(partition, payload) for each partition that has events, ready for `EventLog.append`.

    A user's events are all in one payload and keep their order. Payloads are those of `encode_events`.
    """
    return _split(events, topic, encode_events)


def split_user_events(events: Iterable[UserEvent], topic: Topic) -> list[tuple[int, bytes]]:
    """The same for what users did. Payloads are those of `encode_user_events`."""
    return _split(events, topic, encode_user_events)


def split_journey_events(events: Iterable[JourneyEvent], topic: Topic) -> list[tuple[int, bytes]]:
    """The same for what journeys did. Payloads are those of `encode_journey_events`."""
    return _split(events, topic, encode_journey_events)


def _split(events: Iterable[E], topic: Topic, encode: Callable[[list[E]], bytes]) -> list[tuple[int, bytes]]:
    by_partition: defaultdict[int, list[E]] = defaultdict(list)
    for event in events:
        by_partition[partition_of(event.user_id, topic)].append(event)
    return [(partition, encode(group)) for partition, group in by_partition.items()]
