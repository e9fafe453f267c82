"""Ids of effects: the same for the same (run, step, visit, channel), so that a replay does nothing twice."""

from __future__ import annotations

import hashlib
from typing import Final

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
