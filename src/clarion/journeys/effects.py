"""Ids of effects: the same for the same (run, step, visit, channel), so that a replay does nothing twice."""

from __future__ import annotations

import hashlib
from typing import Final

from clarion.journeys.graph import Graph, NotificationSpec
from clarion.journeys.model import Instance

OWN: Final = -1
"""The rung that stands for a step's own channels (or its only effect)."""

_VERSION_7: Final = 0x70
_VARIANT: Final = 0x80


def effect_id(instance_id: bytes, step: str, visit: int, rung: int, at_ms: int) -> bytes:
    """The UUIDv7 of an effect: `at_ms` (when it was decided, as stored), 70 bits of a hash, and four that are 0.

    So it may be a notification's id (`contracts.work`), and names the partition of its row.
    """
    clear = b"%b\0%b\0%d:%d" % (instance_id, step.encode(), visit, rung)
    raw = bytearray(hashlib.blake2b(clear, digest_size=16).digest())
    raw[:6] = at_ms.to_bytes(6, "big")
    raw[6] = (raw[6] & 0x0F) | _VERSION_7
    raw[8] = (raw[8] & 0x3F) | _VARIANT
    raw[15] &= 0xF0
    return bytes(raw)


def messages_of(instance: Instance, graph: Graph) -> list[bytes]:
    """The ids of all messages that the last visits of a run's steps asked for."""
    return [
        effect_id(instance.instance_id, name, outcome.visit, rung, at_ms)
        for name, outcome in instance.progress.outcomes.items()
        if (step := graph.steps.get(name)) is not None and isinstance(step.spec, NotificationSpec)
        for rung, at_ms in enumerate(outcome.asked, OWN)
    ]
