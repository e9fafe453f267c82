"""Folding against a plain account of the same, one sign after another; and what order, cuts and repeats may change."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.intelligence.features import (
    CHANNEL_HALF_LIVES_D,
    PRESENCE_HALF_LIVES_D,
    RecordArray,
    SignKind,
    Signs,
    empty_records,
    fold,
)
from clarion.kernel.local_time import DAY_MS, HOUR_MS, MINUTE_MS

START_MS = 20_241 * DAY_MS
USERS = (3, 1, 8)
PERSONAL = {SignKind.OPENED, SignKind.CLICKED, SignKind.ACTIVE}
ANSWERED_WITHIN_MS = 72 * HOUR_MS


class One(NamedTuple):
    at_ms: int
    user_id: int
    kind: int
    channel: int
    offset_ms: int
    ident: int


def make_one(at_ms: int, user_id: int, kind: int, channel: int, nth: int) -> One:
    """A sign whose name says what it is, of a user who is elsewhere every five days."""
    offset_ms = (0, 2, -9)[at_ms // (5 * DAY_MS) % 3] * HOUR_MS
    return One(at_ms, user_id, kind, channel, offset_ms, 1 + kind + 10 * (channel + 1) + 100 * nth)


one = st.builds(
    make_one,
    st.integers(0, 40 * 24 * 6).map(lambda n: START_MS + n * 10 * MINUTE_MS),
    st.sampled_from(USERS),
    st.sampled_from([int(kind) for kind in SignKind]),
    st.integers(-1, 2),
    st.integers(0, 3),
)
many = st.lists(one, max_size=40)


def signs(told: list[One]) -> Signs:
    columns = [np.array([row[index] for row in told], np.int64) for index in range(len(One._fields))]
    at_ms, user_id, kind, channel, offset_ms, ident = columns
    return Signs(user_id, kind, channel, at_ms, offset_ms, ident.astype(np.uint64))


def left(half_life_d: float, age_ms: int) -> float:
    return math.exp2(-age_ms / DAY_MS / half_life_d)


class Account:
    """What a record should say of one user, from her signs in the order of time."""

    def __init__(self, told: list[One]) -> None:
        self.told: list[One] = []
        known: set[int] = set()
        for row in sorted(told, key=lambda row: (row.at_ms, row.kind, row.ident)):
            if row.ident not in known:
                known.add(row.ident)
                self.told.append(row)
        self.as_of_ms = max((row.at_ms for row in self.told), default=0)

    def count(self, kinds: set[SignKind], channel: int, half_life_d: float) -> float:
        return sum(
            left(half_life_d, self.as_of_ms - row.at_ms)
            for row in self.told
            if row.kind in kinds and row.channel == channel
        )

    def presence(self, half_life_d: float) -> np.ndarray:
        counted = np.zeros((2, 24))
        hours: set[int] = set()
        for row in self.told:
            hour = (row.at_ms + row.offset_ms) // HOUR_MS
            if row.kind in PERSONAL and hour not in hours:
                hours.add(hour)
                day_type = int((hour // 24 + 3) % 7 >= 5)
                counted[day_type, hour % 24] += left(half_life_d, self.as_of_ms - row.at_ms)
        return counted

    def answered(self, half_life_d: float) -> np.ndarray:
        counted = np.zeros(24)
        sent_ms: defaultdict[int, int] = defaultdict(int)
        for row in self.told:
            if row.kind == SignKind.SENT and row.channel >= 0:
                sent_ms[row.channel] = row.at_ms
            sent = sent_ms[row.channel]
            if row.kind == SignKind.OPENED and sent and row.at_ms - sent <= ANSWERED_WITHIN_MS:
                hour = (sent + row.offset_ms) // HOUR_MS % 24
                counted[hour] += left(half_life_d, self.as_of_ms - row.at_ms)
        return counted

    def check(self, record: RecordArray) -> None:
        assert record["as_of_ms"] == self.as_of_ms
        for bank, days in enumerate(CHANNEL_HALF_LIVES_D):
            for channel in range(3):
                for name, kinds in (
                    ("sent", {SignKind.SENT}),
                    ("opened", {SignKind.OPENED}),
                    ("clicked", {SignKind.CLICKED}),
                    ("touched", PERSONAL),
                ):
                    expected = self.count(kinds, channel, days)
                    np.testing.assert_allclose(record[name][bank, channel], expected, rtol=1e-4, atol=1e-5)
        for bank, days in enumerate(PRESENCE_HALF_LIVES_D):
            np.testing.assert_allclose(record["presence"][bank], self.presence(days), rtol=1e-4, atol=1e-5)
        slow = PRESENCE_HALF_LIVES_D[-1]
        np.testing.assert_allclose(record["answered"], self.answered(slow), rtol=1e-4, atol=1e-5)
        seen = [row.at_ms for row in self.told if row.kind in PERSONAL]
        assert (record["first_ms"], record["seen_ms"]) == (min(seen, default=0), max(seen, default=0))


@settings(max_examples=120)
@given(many, st.randoms())
def test_a_batch_in_any_order_comes_to_what_a_plain_account_says(told: list[One], dice: Random) -> None:
    shuffled = list(told)
    dice.shuffle(shuffled)
    records = fold(empty_records(USERS), signs(shuffled))
    for user_id, record in zip(USERS, records, strict=True):
        Account([row for row in told if row.user_id == user_id]).check(record)


@settings(max_examples=60)
@given(many, st.integers(0, 40))
def test_cut_in_the_order_of_time_it_comes_to_the_same(told: list[One], cut: int) -> None:
    # By one clock: of several, a record remembers only the two hours that were counted last.
    named = [row._replace(ident=index + 1, offset_ms=0) for index, row in enumerate(sorted(told))]
    whole = fold(empty_records(USERS), signs(named))
    parts = fold(fold(empty_records(USERS), signs(named[:cut])), signs(named[cut:]))
    for name in (name for name in whole.dtype.names or () if name not in {"sequence", "recent", "recent_at"}):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-3, atol=1e-5, err_msg=name)


@settings(max_examples=40)
@given(st.lists(one, max_size=16))
def test_told_again_nothing_changes(told: list[One]) -> None:
    once = fold(empty_records(USERS), signs(told))
    assert fold(once, signs(told[::-1])).tobytes() == once.tobytes()
