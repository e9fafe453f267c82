"""The board on which a batch is weighed: one cell for each row, channel and hour; and what was chosen on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.compliance.rules import Rule
from clarion.intelligence.serving import FloatArray
from clarion.kernel.local_time import ClockArray, IntArray
from clarion.orchestration.columns import CODE, Columns, CountArray
from clarion.orchestration.lots import ChanceArray

CLOSED: Final = -np.inf
"""Score of a cell that a rule has shut."""


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """What a batch's choice depends on. B rows, C channels, H hours (0: the anchor; see `horizon`); times in UTC ms.

    `start_ms`, `late` (at or after the expiry), `day` (local, counted from the anchor's), `clock_hour` (local, 0 to
    23): [B, H]; `quiet` [B, C, H], or
    [B, 1, H] where it is of all channels; `first_day` [B]: the anchor's, since 1970. `barred` [B, C]: code of the rule
    that forbids the channel at any hour, or 0. `used` [B, 1 + C, D]: places that are taken on each day (all channels,
    then each). `score` [B, C, H]; `worth` [B, C]: score per unit of engagement; `confidence`,
    `models`, `fallback` [B]: as the model said (`Forecast`). The tally writes into `barred` and
    `used`; nothing else changes.
    """

    columns: Columns
    start_ms: IntArray
    first_day: IntArray
    day: ClockArray
    clock_hour: ClockArray
    quiet: BoolArray
    late: BoolArray
    barred: IntArray
    used: CountArray
    score: FloatArray
    worth: FloatArray
    confidence: FloatArray
    models: Sequence[str]
    fallback: BoolArray

    @property
    def by_channel(self) -> bool:
        """Whether channels differ in when they are quiet."""
        return self.quiet.shape[1] > 1

    def time_rule(self, hour: IntArray) -> IntArray:
        """Code of the rule of time that shuts each channel at the row's `hour` [B], or 0: [B, C]."""
        rows = np.arange(len(hour))
        full = self.used[rows, :, self.day[rows, hour]] >= self.columns.limit
        capped = full[:, :1] | full[:, 1:]
        late, quiet = self.late[rows, hour, None], self.quiet[rows, :, hour]
        return np.where(
            late,
            CODE[Rule.EXPIRY],
            np.where(quiet, CODE[Rule.QUIET_HOURS], np.where(capped, CODE[Rule.FREQUENCY_CAP], 0)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was chosen. `first` [B]: the hour to which a row that does not seek is held.

    `scores` [B, C]: best score, whether or not a rule shut its cell; `masked` [B, C, H]: score of each open cell,
    `CLOSED` elsewhere; `hour`, `best`, `rank` [B, C]: each channel's best open hour, its score (`CLOSED`: there is
    none), and the channel's place among the row's; `taken` [B, C]; `dropped` [B, C]: code of the rule that took a
    choice back, or 0. `lead`, `peak` [B]: the best channel, and its hour. Where something else is tried, `explored`
    [B] says so, and `hour` and `best` are what is tried. `propensity` [B]: how probable the row's cell was.
    """

    first: IntArray
    scores: FloatArray
    masked: FloatArray
    hour: IntArray
    best: FloatArray
    rank: IntArray
    taken: BoolArray
    dropped: IntArray
    lead: IntArray
    peak: IntArray
    explored: BoolArray
    propensity: ChanceArray

    def put(self, rows: slice, other: Choice) -> None:
        """Replace the choice of `rows` by `other`, which has just these rows."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)
