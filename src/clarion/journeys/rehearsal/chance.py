"""Chance that repeats: the same draw for the same question and seed, in whatever order questions come."""

from __future__ import annotations

import hashlib
import math
from typing import Final

_RANGE: Final = 1 << 64


def draw(seed: int, *about: object) -> float:
    """A number in [0, 1), the same for the same seed and question, and independent of those of all others."""
    clear = "\0".join((str(seed), *map(str, about))).encode()
    return int.from_bytes(hashlib.blake2b(clear, digest_size=8).digest(), "big") / _RANGE


def span(share: float, mean_ms: int) -> int:
    """How long something took that takes `mean_ms` on average, as calls and visits do (exponentially), in ms."""
    return int(-math.log1p(-share) * mean_ms)
