"""What the chosen hour makes of a delivery: its first status, and when it is due."""

from __future__ import annotations

from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.statuses import Status
from clarion.kernel.local_time import IntArray

FIRST_STATUSES: Final[tuple[Status, ...]] = ("queued", "ml_scheduled", "scheduled", "deferred")
"""The states in which a delivery begins to wait, the most advanced first; `first_status` gives indices in here."""

QUEUED, ML_SCHEDULED, SCHEDULED, DEFERRED = range(4)

AT_ONCE: Final = 0
"""Due time of what is due when it is accepted."""


def first_status(at_ms: IntArray, hour: IntArray, seeks: BoolArray, now_ms: int) -> IntArray:
    """Index in `FIRST_STATUSES` of each delivery, in the shape of `at_ms`; the arguments broadcast.

    `at_ms`: the chosen time (UTC); `hour`: its place in the horizon, 0 is the present or the scheduled instant;
    `seeks`: the request left the time to us. What is due now is `queued`; what had to wait longer than was asked for
    is `deferred`.
    """
    waits = np.where(seeks, ML_SCHEDULED, np.where(hour > 0, DEFERRED, SCHEDULED))
    return np.where(at_ms <= now_ms, QUEUED, waits)


def due_ms(at_ms: IntArray, now_ms: int) -> IntArray:
    """When each delivery is due: its chosen time (UTC ms), or `AT_ONCE`. Spreading herds is the queue's business."""
    return np.where(at_ms <= now_ms, AT_ONCE, at_ms)
