"""What journeys did, as it crosses processes on `journey-events`. Versioned, additive only; ids only, no PII."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from clarion.contracts.events import EVENT_VERSION

JourneyEventType: TypeAlias = Literal[
    "entered",
    "step_entered",
    "step_done",
    "step_skipped",
    "step_failed",
    "goal",
    "completed",
    "exited",
    "failed",
    "stopped",
    "migrated",
]


class JourneyEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that happened to one run. Times are UTC ms of the store's clock.

    `event_id` is derived from (instance, seq, place in the transition), so that a repeat has the same id. `took_ms`:
    how long the run was at the step, of `step_done` and `step_skipped`; how long it lasted, of an end. `detail`: an
    arm, an event's name, a reason.
    """

    event_id: bytes
    type: JourneyEventType
    at_ms: int
    tenant_id: bytes
    journey_id: bytes
    version: int
    instance_id: bytes
    user_id: int
    step: str = ""
    visit: int = 0
    detail: str = ""
    took_ms: int = 0
    is_test: bool = False


class JourneyEventBatch(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction recorded: the payload of one row of `journey_outbox` and of one log entry."""

    version: int
    events: list[JourneyEvent]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JourneyEventBatch)


def derive_journey_event_id(instance_id: bytes, seq: int, place: int) -> bytes:
    """16 bytes that are the same for the same part of the same transition, whoever computes them.

    The run's id, masked with a hash of the part: two runs share no id, and two parts of one have different masks.
    """
    return (int.from_bytes(instance_id, "big") ^ _mask_of(seq, place)).to_bytes(16, "big")


@lru_cache(maxsize=4096)
def _mask_of(seq: int, place: int) -> int:
    return int.from_bytes(hashlib.blake2b(b"%d:%d" % (seq, place), digest_size=16).digest(), "big")


def encode_journey_events(events: list[JourneyEvent]) -> bytes:
    """The bytes of an outbox row (MessagePack)."""
    return _encoder.encode(JourneyEventBatch(EVENT_VERSION, events))


def decode_journey_events(payload: bytes) -> list[JourneyEvent]:
    """Inverse of `encode_journey_events`; raises `msgspec.DecodeError` on bytes that are not a batch."""
    return _decoder.decode(payload).events
