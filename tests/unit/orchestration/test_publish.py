"""Cutting a transaction's events into one payload a partition."""

from __future__ import annotations

from clarion.contracts.events import NotificationEvent, decode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS, Topic, partition_of
from clarion.orchestration.publish import split_by_partition


def event(number: int, user_id: int) -> NotificationEvent:
    ident = number.to_bytes(16, "big")
    return NotificationEvent(ident, "sent", number, b"t" * 16, ident, ident, user_id, "marketing", "email")


def test_every_event_is_in_its_users_partition_in_order():
    events = [event(number, user_id=1 << 48 | number % 37) for number in range(500)]
    parts = split_by_partition(events, NOTIFICATION_EVENTS)
    assert len(parts) == len({partition for partition, _ in parts}) == NOTIFICATION_EVENTS.partitions
    found = {partition: decode_events(payload) for partition, payload in parts}
    for partition, group in found.items():
        assert group == [one for one in events if partition_of(one.user_id, NOTIFICATION_EVENTS) == partition]


def test_only_partitions_with_events_have_a_payload():
    [(partition, payload)] = split_by_partition([event(1, 35), event(2, 3)], NOTIFICATION_EVENTS)
    assert partition == 3
    assert decode_events(payload) == [event(1, 35), event(2, 3)]
    assert split_by_partition([], NOTIFICATION_EVENTS) == []


def test_a_partitions_number_is_a_key_of_that_partition():
    topic = Topic("t", 8, 1)
    for key in range(100):
        assert partition_of(partition_of(key, topic), topic) == partition_of(key, topic)
