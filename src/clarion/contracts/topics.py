"""The topics of the event log: name, partitions, retention. Keyed by user: one user's events keep their order."""

from __future__ import annotations

from typing import Final

import msgspec


class Topic(msgspec.Struct, frozen=True):
    """A named stream of events. `retention_ms` bounds age; consumers must not rely on more."""

    name: str
    partitions: int
    retention_ms: int


_WEEK_MS: Final = 7 * 24 * 3600 * 1000

NOTIFICATION_EVENTS: Final = Topic("notification-events", 32, _WEEK_MS)
USER_EVENTS: Final = Topic("user-events", 32, _WEEK_MS)
JOURNEY_EVENTS: Final = Topic("journey-events", 16, _WEEK_MS)
CROSS_REGION_SYNC: Final = Topic("cross-region-sync", 8, _WEEK_MS)
TOPICS: Final = (NOTIFICATION_EVENTS, USER_EVENTS, JOURNEY_EVENTS, CROSS_REGION_SYNC)


def partition_of(key: int, topic: Topic) -> int:
    """Partition of the entries of `key` (a user's id): the same for every producer and every technology of the log."""
    return key % topic.partitions
