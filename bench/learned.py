"""What the benches of predictions share: users with a history, and questions about them."""

from __future__ import annotations

from typing import Final

import numpy as np

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import RecordArray, Signs, empty_records, fold
from clarion.intelligence.serving import CLASSES, Question
from clarion.kernel.local_time import DAY_MS, HOUR_MS

NOW_MS: Final = 1_800_000_000_000
"""15 January 2027, 08:00 UTC."""

HOURS: Final = 72
_SIGNS_A_USER: Final = 40
_OF_DAYS: Final = 120
_MONDAY: Final = 3
_KINDS: Final = 6


def make_users(count: int) -> RecordArray:
    """Records of users 1, 2, …, each folded of some forty signs of every kind; no two are alike."""
    random = np.random.default_rng(7)
    signs = count * _SIGNS_A_USER
    return fold(
        empty_records(range(1, count + 1)),
        Signs(
            user_id=random.integers(1, count + 1, signs),
            kind=random.integers(0, _KINDS, signs),
            channel=random.integers(0, len(CHANNELS), signs),
            at_ms=NOW_MS - random.integers(0, _OF_DAYS * DAY_MS, signs),
            offset_ms=np.full(signs, HOUR_MS),
            ident=random.integers(1, 2**63, signs).astype(np.uint64),
        ),
    )


def ask(first: int, count: int, named: int = -1) -> Question:
    """The question about `count` users from the number `first` on: the next 72 hours, on all channels."""
    at_ms = NOW_MS + np.arange(HOURS) * HOUR_MS
    local_hour = at_ms // HOUR_MS + 1
    shape = (count, HOURS)
    numbers = np.arange(count)
    return Question(
        user_id=numbers + first,
        preferred=np.full(count, named) if named >= 0 else numbers % (len(CHANNELS) + 1) - 1,
        hour=np.broadcast_to(local_hour % 24, shape).astype(np.int8),
        weekday=np.broadcast_to((local_hour // 24 + _MONDAY) % 7, shape).astype(np.int8),
        at_ms=np.broadcast_to(at_ms, shape).copy(),
        class_=numbers % len(CLASSES),
    )
