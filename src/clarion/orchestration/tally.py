"""Rows of one batch before one another: caps, quotas and budgets count the choices of the rows before.

Only contested rows come here, in the order of the batch: `narrow` shuts what the rows before have taken, `take` books
the row's own choice, best channel first, and takes back what no longer fits beside it.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from clarion.compliance.rules import Rule
from clarion.orchestration.board import Board, Choice
from clarion.orchestration.columns import CODE


class Tally:
    """What the rows so far have taken. It writes into `barred` and `used`, `taken` and `dropped`, nowhere else."""

    def __init__(self, board: Board, choice: Choice) -> None:
        self._board = board
        self._choice = choice
        accounts = board.columns.accounts
        self._budget = accounts.budget.copy()
        self._quota = accounts.quota.copy()
        self._taken: defaultdict[tuple[int, str] | None, Counter[tuple[int, int]]] = defaultdict(Counter)
        """By person: messages by (local day, 0: on all channels, 1 + channel)."""

    def narrow(self, row: int) -> bool:
        """Shut for `row` what the rows before have taken. True where that shuts anything: it has to choose again."""
        board, columns = self._board, self._board.columns
        used, limit = board.used[row], columns.limit[row, :, None]
        places_left = (used < limit).sum()
        for (day, place), count in self._taken[columns.person.get(row)].items():
            nth = day - board.first_day[row]
            if 0 <= nth < used.shape[1]:
                used[place, nth] += count
        account = columns.accounts.account[row]
        barred = board.barred[row]
        channels_left = (barred == 0).sum()
        barred[(barred == 0) & (self._quota[account] < 1)] = CODE[Rule.QUOTA]
        barred[(barred == 0) & (columns.accounts.cost[row] > self._budget[account])] = CODE[Rule.BUDGET]
        return bool((barred == 0).sum() < channels_left or (used < limit).sum() < places_left)

    def take(self, row: int) -> None:
        """Book the choice of `row`. Its best channel always fits, once it has heeded `narrow`."""
        columns, choice = self._board.columns, self._choice
        account = columns.accounts.account[row]
        for channel in self._chosen(row):
            cost = columns.accounts.cost[row, channel]
            full, broke = self._is_full(row, channel), cost > self._budget[account]
            if full or broke:
                choice.taken[row, channel] = False
                choice.dropped[row, channel] = CODE[Rule.FREQUENCY_CAP if full else Rule.BUDGET]
                continue
            self._budget[account] -= cost
            self._quota[account, channel] -= 1
            if row in columns.person:
                self._book(row, channel)

    def _book(self, row: int, channel: int) -> None:
        board = self._board
        day = board.day[row, self._choice.hour[row, channel]]
        for place in (0, 1 + channel):
            self._taken[board.columns.person[row]][int(board.first_day[row] + day), place] += 1
            board.used[row, place, day] += 1

    def _is_full(self, row: int, channel: int) -> bool:
        """Whether the day of the hour chosen for `channel` has no place left."""
        board = self._board
        day = board.day[row, self._choice.hour[row, channel]]
        places = [0, 1 + channel]
        return bool((board.used[row, places, day] >= board.columns.limit[row, places]).any())

    def _chosen(self, row: int) -> list[int]:
        """The channels that the row has taken, best first."""
        taken = np.flatnonzero(self._choice.taken[row])
        return sorted(taken.tolist(), key=self._choice.rank[row].__getitem__)
