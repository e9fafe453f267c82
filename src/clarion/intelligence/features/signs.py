"""What is learned from, as columns: what was sent to people, and what they did."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.kernel.local_time import IntArray

HashArray: TypeAlias = npt.NDArray[np.uint64]


class SignKind(IntEnum):
    """What happened. Append only: history is stored by number."""

    SENT = 0
    """A provider took a message. No sign of the person, but what her answers are measured by."""
    OPENED = 1
    """She opened it."""
    CLICKED = 2
    """She followed a link in it, which also says that she opened it."""
    MACHINE = 3
    """A machine opened it: kept apart from all rates."""
    REFUSED = 4
    """She unsubscribed or complained."""
    ACTIVE = 5
    """She did something of her own accord: an event of the tenant's application."""


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """N signs, in any order, of any users. Times are UTC ms.

    `user_id` [N]; `kind` [N]: `SignKind`; `channel` [N]: index in `CHANNELS`, -1 where it was on none; `at_ms` [N];
    `offset_ms` [N]: what her clock was ahead of UTC at that instant; `ident` [N]: 64 bits of the event's id, the same
    for a repeat (0: it has none, and every one counts).
    """

    user_id: IntArray
    kind: IntArray
    channel: IntArray
    at_ms: IntArray
    offset_ms: IntArray
    ident: HashArray
