"""When people were there, as a file tells it: the ground that models are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.signs import SignKind, Signs
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import HOUR_MS, MINUTE_MS, IntArray

BoolArray = npt.NDArray[np.bool_]

MOST_SURFACES: Final = len(CHANNELS)
"""The surfaces that occur most often are told apart, as channels are; all others count as none of them."""

_FARTHEST_OFFSET_MIN: Final = 26 * 60
_EARLIEST_MS: Final = 0
_LATEST_MS: Final = 2**62 // 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """N signs of people, by rising time. `person` [N]: 0 to `people` - 1; `surface` [N]: index in `surfaces`, or -1.

    `judged` [people]: of whom results are reported; models are tuned on the others. `hour` [N]: local, since 1970.
    """

    person: IntArray
    at_ms: IntArray
    offset_ms: IntArray
    surface: IntArray
    surfaces: tuple[str, ...]
    judged: BoolArray

    def __len__(self) -> int:
        """How many signs."""
        return len(self.person)

    @property
    def people(self) -> int:
        """How many people."""
        return len(self.judged)

    @property
    def hour(self) -> IntArray:
        """Hours since 1970 that each person's clock had counted, [N]."""
        return (self.at_ms + self.offset_ms) // HOUR_MS

    def before(self, at_ms: int) -> int:
        """How many signs come before an instant."""
        return int(np.searchsorted(self.at_ms, at_ms))

    def signs(self, chosen: BoolArray | IntArray) -> Signs:
        """Some of the signs, as the product learns them: as activity of users that are numbered from 1 on."""
        count = int(np.count_nonzero(chosen)) if chosen.dtype == np.bool_ else len(chosen)
        return Signs(
            user_id=self.person[chosen] + 1,
            kind=np.full(count, SignKind.ACTIVE, np.int64),
            channel=self.surface[chosen],
            at_ms=self.at_ms[chosen],
            offset_ms=self.offset_ms[chosen],
            ident=np.zeros(count, np.uint64),
        )


def arrange(
    person: Sequence[Any],
    ts_utc: Sequence[Any],
    utc_offset_minutes: Sequence[Any],
    surface: Sequence[Any] | None = None,
) -> Activity:
    """The activity of columns in any order: who, when (seconds UTC), how far her clock is ahead, where (if known).

    People are halved by the hash of their name, so that the same person is in the same half of every file. Raises
    Invalid, with the column and the row, for what is missing or cannot be.
    """
    if not len(person):
        raise Invalid("the file holds no rows: there is nobody to judge models on")
    at_ms = _whole("ts_utc", ts_utc) * 1000
    offset_ms = _whole("utc_offset_minutes", utc_offset_minutes) * MINUTE_MS
    _within("ts_utc", at_ms, (_EARLIEST_MS, _LATEST_MS), "seconds since 1970, UTC")
    limit = _FARTHEST_OFFSET_MIN * MINUTE_MS
    _within("utc_offset_minutes", offset_ms, (-limit, limit), "minutes ahead of UTC, at most 26 hours")
    names, who = np.unique(_texts("person", person), return_inverse=True)
    surfaces, where = _surfaces(surface, len(who))
    order = np.argsort(at_ms, kind="stable")
    judged = np.array([sha256(name.encode()).digest()[0] & 1 == 1 for name in names.tolist()], np.bool_)
    return Activity(
        who[order].astype(np.int64), at_ms[order], offset_ms[order], where[order], surfaces, judged
    )


def _surfaces(surface: Sequence[Any] | None, rows: int) -> tuple[tuple[str, ...], IntArray]:
    if surface is None:
        return (), np.full(rows, -1, np.int64)
    names, where, counts = np.unique(_texts("surface", surface), return_inverse=True, return_counts=True)
    chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_SURFACES])
    place = np.full(len(names), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    return tuple(names[chosen].tolist()), place[where]


def _texts(column: str, values: Sequence[Any]) -> npt.NDArray[np.str_]:
    missing = next((row for row, value in enumerate(values) if value is None or value != value), None)  # noqa: PLR0124  NaN
    if missing is not None:
        raise Invalid(f"{column} is empty", f"rows[{missing}].{column}")
    return np.array([str(value) for value in values])


def _whole(column: str, values: Sequence[Any]) -> IntArray:
    array = np.asarray(values)
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            raise Invalid(f"{column} is not a number", f"rows[{int(bad[0])}].{column}")
    elif array.dtype.kind not in "iu":
        raise Invalid(f"{column} has to hold whole numbers, not {array.dtype}", column)
    return array.astype(np.int64)


def _within(column: str, values: IntArray, bounds: tuple[int, int], what: str) -> None:
    bad = np.flatnonzero((values < bounds[0]) | (values > bounds[1]))
    if len(bad):
        raise Invalid(f"{column} cannot be: it is {what}", f"rows[{int(bad[0])}].{column}")
