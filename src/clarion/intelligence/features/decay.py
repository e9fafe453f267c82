"""What is left of sums as time passes: every sum of a record at once, each by its own half-life."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.record import (
    CHANNEL_HALF_LIVES_D,
    PRESENCE_HALF_LIVES_D,
    RECORD,
    RecordArray,
)
from clarion.kernel.local_time import DAY_MS, IntArray

FloatArray = npt.NDArray[np.float32]

HALF_LIVES_D: Final = tuple(sorted({*PRESENCE_HALF_LIVES_D, *CHANNEL_HALF_LIVES_D}))
"""Every half-life that a sum is kept at, in days; columns of `share_left`."""

SLOW: Final = HALF_LIVES_D.index(PRESENCE_HALF_LIVES_D[-1])
"""Of exposures and answers by the hour."""
MONTH: Final = HALF_LIVES_D.index(CHANNEL_HALF_LIVES_D[1])
"""Of opens by machines."""
QUARTER: Final = HALF_LIVES_D.index(CHANNEL_HALF_LIVES_D[-1])
"""Of refusals and gaps between visits."""
PRESENCE: Final = tuple(HALF_LIVES_D.index(days) for days in PRESENCE_HALF_LIVES_D)
"""Of the presence bank, in its order."""
CHANNEL: Final = tuple(HALF_LIVES_D.index(days) for days in CHANNEL_HALF_LIVES_D)
"""Of the channel bank, in its order."""

_FIRST_SUM: Final = "gap_h"
_AFTER_SUMS: Final = "recent"
_WORD: Final = 4


_OFFSETS: Final = {name: int(spec[1]) for name, spec in (RECORD.fields or {}).items()}

SUMS_AT: Final = _OFFSETS[_FIRST_SUM]
"""Where in a record its sums begin, in bytes: from there on they are float32, one after another."""
SUMS: Final = (_OFFSETS[_AFTER_SUMS] - SUMS_AT) // _WORD
"""How many sums a record has."""


def column(name: str) -> int:
    """Column of `sums_of` at which a field of sums begins; its elements follow in C order."""
    return (_OFFSETS[name] - SUMS_AT) // _WORD


def _half_life_of_columns() -> npt.NDArray[np.intp]:
    """By column of `sums_of`: the index of its half-life in `HALF_LIVES_D`."""
    kept: npt.NDArray[np.intp] = np.full(SUMS, QUARTER, np.intp)
    for name in (
        "presence",
        "exposed",
        "answered",
        "sent",
        "opened",
        "clicked",
        "touched",
        "machine",
        "active",
    ):
        match name:
            case "presence":
                index = PRESENCE
            case "exposed" | "answered":
                index = (SLOW,)
            case "machine":
                index = (MONTH,)
            case _:
                index = CHANNEL
        start, length = column(name), RECORD[name].itemsize // _WORD
        kept[start : start + length] = np.repeat(index, length // len(index))
    return kept


_HALF_LIFE_OF: Final = _half_life_of_columns()


def sums_of(records: RecordArray) -> FloatArray:
    """All sums of records, [B, SUMS]: a view, so that what is written to it is written to them.

    `records` must be contiguous and writable (what `empty_records`, `unpack` and `copy` give).
    """
    words: FloatArray = records.view(np.dtype("<f4")).reshape(len(records), RECORD.itemsize // _WORD)
    return words[:, SUMS_AT // _WORD : SUMS_AT // _WORD + SUMS]


def share_left(age_ms: IntArray) -> FloatArray:
    """What is left after `age_ms` [N], by half-life: [N, len(HALF_LIVES_D)], 1 where no time passed."""
    days = np.maximum(age_ms, 0) / DAY_MS
    return np.exp2(-days[:, None] / np.array(HALF_LIVES_D)).astype(np.float32)


def decayed(records: RecordArray, now_ms: int | IntArray) -> RecordArray:
    """Records as they are at `now_ms` (one instant, or one a record), as a copy.

    A record of a later instant stays as it is: nothing that was forgotten comes back.
    """
    aged: RecordArray = np.array(records, RECORD, copy=True)
    as_of_ms = np.maximum(aged["as_of_ms"], now_ms)
    sums = sums_of(aged)
    sums *= share_left(as_of_ms - aged["as_of_ms"])[:, _HALF_LIFE_OF]
    aged["as_of_ms"] = as_of_ms
    return aged
