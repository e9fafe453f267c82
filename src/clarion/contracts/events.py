"""Events that cross a process. Versioned, additive only: fields are appended with a default, never moved or removed.

They carry ids only, no PII. `event_id` is derived from what happened, so that a repeat has the same id and
consumers can drop it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import msgspec

from clarion.kernel.ids import parse_id

EVENT_VERSION = 1


class NotificationEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change of one delivery. Ids are the 16 bytes of a UUID; `at_ms` is UTC milliseconds of the store's clock.

    `journey_id`: the run of a journey that asked for it, as the text of its id; "" where none did (`name_run`).
    """

    event_id: bytes
    type: str
    at_ms: int
    tenant_id: bytes
    notification_id: bytes
    delivery_id: bytes
    user_id: int
    category: str
    channel: str
    provider: str = ""
    cost_micros: int = 0
    detail: str = ""
    traceparent: str = ""
    is_test: bool = False
    journey_id: str = ""


class EventBatch(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction appended: the payload of one `outbox` row and of one log entry."""

    version: int
    events: list[NotificationEvent]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EventBatch)


def derive_event_id(delivery_id: bytes, kind: str, attempt: int = 0) -> bytes:
    """16 bytes that are the same for the same change of the same delivery, whoever computes them.

    The delivery's id, masked with a hash of the change: two deliveries never share one, and two changes of a delivery
    have different masks (but for one pair in 2¹²⁸).
    """
    return (int.from_bytes(delivery_id, "big") ^ _mask_of(kind, attempt)).to_bytes(16, "big")


def name_run(journey_id: str) -> str:
    """What an event says of a notification's `journey_id`: the id of a run of ours.

    "" for any other text: callers may write there what they like, which may be a name, and events hold none.
    """
    if not journey_id or parse_id(journey_id) is None:
        return ""
    return journey_id


@lru_cache(maxsize=1024)
def _mask_of(kind: str, attempt: int) -> int:
    digest = hashlib.blake2b(b"%s%d" % (kind.encode(), attempt), digest_size=16).digest()
    return int.from_bytes(digest, "big")


def encode_events(events: list[NotificationEvent]) -> bytes:
    """The bytes of an outbox row (MessagePack)."""
    return _encoder.encode(EventBatch(EVENT_VERSION, events))


def decode_events(payload: bytes) -> list[NotificationEvent]:
    """Inverse of `encode_events`; raises `msgspec.DecodeError` on bytes that are not a batch."""
    return _decoder.decode(payload).events
