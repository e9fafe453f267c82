"""One unit of work on the queue: everything a queue must know of a delivery, and no more (no PII, no payload)."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.contracts.channels import CHANNELS, Channel

ENTRY_BYTES: Final = 33
"""16 bytes delivery id, 16 bytes tenant id, 1 byte priority: the member kept in lists and sorted sets."""

URGENT_PRIORITY: Final = 2
"""Priorities 0 to 2 have reserved capacity and are served strictly first."""

LOWEST_PRIORITY: Final = 10


class WorkItem(msgspec.Struct, frozen=True, gc=False):
    """A delivery that waits for its turn. `due_ms` is UTC milliseconds of the store's clock; 0 means now."""

    delivery_id: bytes
    tenant_id: bytes
    channel: str
    priority: int
    due_ms: int = 0


class QueueDepths(msgspec.Struct, frozen=True):
    """How full one channel's queue is. Tuples have a place per priority, 0 to 10.

    `queued` stands in line, `backlog` waits for its tenant's turn, `scheduled` is due later, `in_flight` is leased.
    `overdue_ms`: how long the earliest scheduled item has been due (0: none is). `oldest_ms`: time since the oldest
    item at the head of a line was accepted (0: all lines are empty), which includes any time it was scheduled.
    """

    queued: tuple[int, ...]
    backlog: tuple[int, ...]
    scheduled: int
    in_flight: int
    overdue_ms: int
    oldest_ms: int


def pack_entry(item: WorkItem) -> bytes:
    """The member that stands for `item` inside its channel's structures."""
    return item.delivery_id + item.tenant_id + item.priority.to_bytes(1, "big")


def unpack_entry(entry: bytes, channel: str, due_ms: int = 0) -> WorkItem:
    """Inverse of `pack_entry`. Raises ValueError on a member of another length."""
    if len(entry) != ENTRY_BYTES:
        msg = f"a queue entry has {ENTRY_BYTES} bytes, not {len(entry)}"
        raise ValueError(msg)
    return WorkItem(entry[:16], entry[16:32], channel, entry[32], due_ms)


def delivery_id_for(notification_id: bytes, channel_index: int | None) -> bytes:
    """Id of a notification's delivery on a channel: the same id but for its last four bits.

    The last four bits of a notification id are 0; a delivery's are 1 + its channel's index (15: no channel). So all
    deliveries of a notification are found by primary key, without a second index.
    """
    code = 15 if channel_index is None else channel_index + 1
    return notification_id[:15] + bytes([(notification_id[15] & 0xF0) | code])


def notification_id_of(delivery_id: bytes) -> bytes:
    """The notification that a delivery id belongs to."""
    return delivery_id[:15] + bytes([delivery_id[15] & 0xF0])


def channel_of(delivery_id: bytes) -> Channel | None:
    """The channel that a delivery id names; None where the delivery has none."""
    code = delivery_id[15] & 0x0F
    return CHANNELS[code - 1] if 1 <= code <= len(CHANNELS) else None


def sibling_ids(notification_id: bytes) -> list[bytes]:
    """Every delivery id that the notification can have, whether or not there is such a delivery."""
    return [delivery_id_for(notification_id, i) for i in (*range(len(CHANNELS)), None)]
