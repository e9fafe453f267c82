"""What is learned from, as columns: what was sent to people, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
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
    """She followed a link in it. That she opened it, which it also says, is a sign of its own (`hear`)."""
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
    for a repeat (0: it has none, and every one counts). `class_` [N]: of a message's category, index in
    `serving.ports.CLASSES`, -1 where there is none; None: of none of them is it known.
    """

    user_id: IntArray
    kind: IntArray
    channel: IntArray
    at_ms: IntArray
    offset_ms: IntArray
    ident: HashArray
    class_: IntArray | None = None

    def __len__(self) -> int:
        """How many."""
        return len(self.user_id)

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Signs:
        """Some of them: those of a mask, or at places, in their order."""
        return Signs(
            self.user_id[chosen],
            self.kind[chosen],
            self.channel[chosen],
            self.at_ms[chosen],
            self.offset_ms[chosen],
            self.ident[chosen],
            None if self.class_ is None else self.class_[chosen],
        )


def as_signs(rows: Sequence[tuple[int, int, int, int, int]]) -> Signs:
    """Signs of rows (user, kind, channel, at_ms, ident), at offset 0."""
    user_id, kind, channel, at_ms, ident = zip(*rows, strict=True) if rows else ((),) * 5
    return Signs(
        np.array(user_id, np.int64),
        np.array(kind, np.int64),
        np.array(channel, np.int64),
        np.array(at_ms, np.int64),
        np.zeros(len(rows), np.int64),
        np.array(ident, np.uint64),
    )


def joined(portions: Sequence[Signs]) -> Signs:
    """Portions, one after another."""
    if not portions:
        return as_signs([])
    classes = [one.class_ for one in portions if one.class_ is not None]
    return Signs(
        np.concatenate([one.user_id for one in portions]),
        np.concatenate([one.kind for one in portions]),
        np.concatenate([one.channel for one in portions]),
        np.concatenate([one.at_ms for one in portions]),
        np.concatenate([one.offset_ms for one in portions]),
        np.concatenate([one.ident for one in portions]),
        np.concatenate(classes) if len(classes) == len(portions) else None,
    )
