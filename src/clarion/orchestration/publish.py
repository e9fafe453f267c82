"""From the outbox to the log: one transaction's events, cut into one payload a partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from clarion.contracts.events import NotificationEvent, encode_events
from clarion.contracts.topics import Topic, partition_of


def split_by_partition(events: Iterable[NotificationEvent], topic: Topic) -> list[tuple[int, bytes]]:
    """(partition, payload) for each partition that has events, ready for `EventLog.append`.

    A user's events are all in one payload and keep their order. Payloads are those of `encode_events`.
    """
    by_partition: defaultdict[int, list[NotificationEvent]] = defaultdict(list)
    for event in events:
        by_partition[partition_of(event.user_id, topic)].append(event)
    return [(partition, encode_events(group)) for partition, group in by_partition.items()]
