"""What happened long ago, told again in its order: for training, and for records that were lost.

It goes through the same `fold` as what happens now. What a record says at an instant is of what came before it, and of
nothing else: that is what keeps a model from being trained on its own answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol

import numpy as np

from clarion.intelligence.features.decay import decayed
from clarion.intelligence.features.fold import fold
from clarion.intelligence.features.record import RECORD, RecordArray, empty_records
from clarion.intelligence.features.signs import Signs
from clarion.kernel.local_time import IntArray


class History(Protocol):
    """Where what happened is kept."""

    def signs(self, tenant_id: bytes, from_ms: int, to_ms: int) -> AsyncIterator[Signs]:
        """What happened to a tenant's users from `from_ms` to before `to_ms`, in portions, in the order of time.

        By local clocks, as users' zones are now; without test mode, and without users who are gone. Raises Transient.
        """
        ...

    async def of_users(self, user_ids: Sequence[int], to_ms: int) -> Signs:
        """All that is still known to have happened to some users before `to_ms`, of any tenants. Raises Transient."""
        ...


class Memory:
    """Records of all users that it was told of, growing. Folding costs what it is told, not what it knows."""

    def __init__(self) -> None:
        """Nobody is known."""
        self._row_of: dict[int, int] = {}
        self._records = empty_records([0] * 1024)

    def __len__(self) -> int:
        """How many users are known."""
        return len(self._row_of)

    @property
    def records(self) -> RecordArray:
        """All records, in the order in which users were first heard of; a view."""
        return self._records[: len(self._row_of)]

    def take(self, signs: Signs) -> None:
        """Fold signs, in any order."""
        users: list[int] = np.unique(signs.user_id).tolist()
        rows = [self._row(user_id) for user_id in users]
        self._records[rows] = fold(self._records[rows], signs)

    def read(self, user_ids: Sequence[int], now_ms: int | IntArray) -> RecordArray:
        """A record per user as of `now_ms`, in order; an empty one of those who are not known."""
        found = empty_records(user_ids)
        rows = [self._row_of.get(user_id, -1) for user_id in user_ids]
        known = [index for index, row in enumerate(rows) if row >= 0]
        found[known] = self._records[[rows[index] for index in known]]
        return decayed(found, now_ms)

    def _row(self, user_id: int) -> int:
        row = self._row_of.get(user_id)
        if row is None:
            row = self._row_of[user_id] = len(self._row_of)
            if row == len(self._records):
                self._records = np.concatenate([self._records, np.zeros(row, RECORD)])
            self._records[row] = empty_records([user_id])[0]
        return row


async def replay(portions: AsyncIterator[Signs], at_ms: Sequence[int]) -> AsyncIterator[tuple[int, Memory]]:
    """What was known at each instant of `at_ms` (rising): all that came before it, and nothing that came later.

    `portions` in the order of time, as `History.signs` tells them. The memory is one and the same, and on its way: read
    of it what you need before you ask for the next instant.
    """
    memory, left = Memory(), list(at_ms)
    async for portion in portions:
        for instant in advance(memory, portion, left):
            yield instant, memory
        left = [instant for instant in left if not len(portion) or instant > int(portion.at_ms[-1])]
    for instant in left:
        yield instant, memory


def advance(memory: Memory, signs: Signs, at_ms: Sequence[int]) -> Iterator[int]:
    """Let a memory take signs (in the order of time), and stop on the way at those instants of `at_ms` that they reach.

    When it stops at an instant, it has taken what came before that. At its end it has taken all.
    """
    begin = 0
    for instant in at_ms:
        if not len(signs) or instant > int(signs.at_ms[-1]):
            break
        cut = int(np.searchsorted(signs.at_ms, instant, side="left"))
        memory.take(signs.where(np.arange(begin, cut)))
        begin = cut
        yield instant
    memory.take(signs.where(np.arange(begin, len(signs))))
