"""What users did, as it crosses processes on `user-events`. Versioned, additive only, as `contracts.events` is.

Ids only: an event's properties may be personal, and stay sealed in the region's store under the event's id.
"""

from __future__ import annotations

import msgspec

from clarion.contracts.events import EVENT_VERSION


class UserEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that a user did, in the tenant's word for it. Times are UTC ms; `received_ms` is the store's clock."""

    event_id: bytes
    name: str
    at_ms: int
    tenant_id: bytes
    user_id: int
    received_ms: int
    traceparent: str = ""


class UserEventBatch(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction recorded: the payload of one `outbox` row and of one log entry."""

    version: int
    events: list[UserEvent]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(UserEventBatch)


def encode_user_events(events: list[UserEvent]) -> bytes:
    """The bytes of an outbox row (MessagePack)."""
    return _encoder.encode(UserEventBatch(EVENT_VERSION, events))


def decode_user_events(payload: bytes) -> list[UserEvent]:
    """Inverse of `encode_user_events`; raises `msgspec.DecodeError` on bytes that are not a batch."""
    return _decoder.decode(payload).events
