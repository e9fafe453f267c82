"""Signs into records: the one place where what happened becomes what is known, live and in training.

Pure, and array operations over all signs of all users of a batch: its cost grows with the signs and the records that
it is given, not with what was folded before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.decay import (
    CHANNEL,
    MONTH,
    PRESENCE,
    QUARTER,
    SLOW,
    SUMS_AT,
    FloatArray,
    column,
    decayed,
    share_left,
)
from clarion.intelligence.features.record import RECENT, RECORD, RecordArray
from clarion.intelligence.features.signs import HashArray, SignKind, Signs
from clarion.kernel.local_time import DAY_MS, HOUR_MS, IntArray

VISIT_GAP_MS: Final = 4 * HOUR_MS
"""So long without a sign of her ends a visit."""

ANSWER_MS: Final = 72 * HOUR_MS
"""An open this long after the channel's latest send is no answer to the hour at which that was sent."""

_C: Final = len(CHANNELS)
_WORDS: Final = RECORD.itemsize // 4
_MONDAY: Final = 3
"""1 January 1970 was a Thursday: days since then and this number, modulo 7, are 0 on a Monday."""
_SATURDAY: Final = 5

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """Signs that count, ordered by record and time, with the row of their record."""

    row: IntArray
    kind: IntArray
    channel: IntArray
    at_ms: IntArray
    offset_ms: IntArray
    ident: HashArray

    def where(self, chosen: BoolArray | IntArray) -> _Taken:
        """Some of them, in the same order."""
        return _Taken(
            self.row[chosen],
            self.kind[chosen],
            self.channel[chosen],
            self.at_ms[chosen],
            self.offset_ms[chosen],
            self.ident[chosen],
        )

    @property
    def local_hour(self) -> IntArray:
        """Hours since 1970 that her clock had counted."""
        return (self.at_ms + self.offset_ms) // HOUR_MS

    @property
    def personal(self) -> BoolArray:
        """Whether it shows the person there."""
        return np.isin(self.kind, (SignKind.OPENED, SignKind.CLICKED, SignKind.ACTIVE))


def fold(records: RecordArray, signs: Signs) -> RecordArray:
    """Records with `signs` counted, as a copy: signs in any order, of any users; those of others are left out.

    `records` are of distinct users. A sign that is known by its `ident` (among the latest 16 of its user, or in the
    batch) changes nothing. One older than its record counts with what is left of it. Presence counts once a local hour.
    Signs of the future are the caller's to clamp: they would be `as_of_ms` until that comes. `sequence` rises by one
    where anything was counted, and nowhere else.
    """
    taken = _without_repeats(records, _placed(records, signs))
    latest_ms: IntArray = records["as_of_ms"].copy()
    np.maximum.at(latest_ms, taken.row, taken.at_ms)
    folded = decayed(records, latest_ms)
    left = share_left(latest_ms[taken.row] - taken.at_ms)
    _add_presence(folded, taken, left)
    _add_answers(folded, taken, left)
    _add_counts(folded, taken, left)
    _set_times(folded, taken)
    _remember(folded, taken)
    changed: IntArray = np.unique(taken.row)
    folded["sequence"][changed] += 1
    return folded


def _placed(records: RecordArray, signs: Signs) -> _Taken:
    """The signs of users that are among the records, ordered by record, then time, then what they are."""
    users: IntArray = records["user_id"]
    order = np.argsort(users)
    at = np.minimum(np.searchsorted(users, signs.user_id, sorter=order), len(users) - 1)
    row = order[at] if len(users) else np.zeros(len(signs.user_id), np.int64)
    known = (users[row] == signs.user_id) if len(users) else np.zeros(len(row), np.bool_)
    chosen = np.flatnonzero(known & (signs.at_ms > 0))
    row = row[chosen]
    keys = (signs.ident[chosen], signs.kind[chosen], signs.at_ms[chosen], row)
    by_time = np.lexsort(keys)
    chosen, row = chosen[by_time], row[by_time]
    return _Taken(
        row,
        signs.kind[chosen],
        signs.channel[chosen],
        signs.at_ms[chosen],
        signs.offset_ms[chosen],
        signs.ident[chosen],
    )


def _without_repeats(records: RecordArray, taken: _Taken) -> _Taken:
    repeated: BoolArray = (records["recent"][taken.row] == taken.ident[:, None]).any(axis=1)
    order = np.lexsort((taken.ident, taken.row))
    same = np.diff(taken.row[order]) == 0
    same &= taken.ident[order][1:] == taken.ident[order][:-1]
    repeated[order[1:][same]] = True
    return taken.where(~repeated | (taken.ident == 0))


def _add(folded: RecordArray, row: IntArray, columns: IntArray, amounts: FloatArray) -> None:
    """Add to sums: `amounts` [N] to columns [N] of `sums_of`, of records [N]."""
    flat = folded.view(np.dtype("<f4"))
    np.add.at(flat, row * _WORDS + SUMS_AT // 4 + columns, amounts)


def _add_presence(folded: RecordArray, taken: _Taken, left: FloatArray) -> None:
    """Count each local hour in which she was there once, and the gaps between visits."""
    there = np.flatnonzero(taken.personal)
    if not len(there):
        return
    signs, share = taken.where(there), left[there]
    _add_gaps(folded, signs, share)
    order = np.lexsort((signs.local_hour, signs.row))
    hour, row = signs.local_hour[order], signs.row[order]
    begins = np.r_[True, (np.diff(row) != 0) | (np.diff(hour) != 0)]
    first = order[begins]
    last = order[np.r_[begins[1:], True]]
    known = (folded["local_hours"][signs.row[first]] == signs.local_hour[first][:, None]).any(axis=1)
    _count_hours(folded, signs.where(first[~known]), share[first[~known]])
    _keep_hours(folded, signs.where(np.sort(last)))


def _count_hours(folded: RecordArray, signs: _Taken, share: FloatArray) -> None:
    day, hour = np.divmod(signs.local_hour, DAY_MS // HOUR_MS)
    day_type = ((day + _MONDAY) % 7 >= _SATURDAY).astype(np.int64)
    for bank, life in enumerate(PRESENCE):
        at = column("presence") + (bank * 2 + day_type) * 24 + hour
        _add(folded, signs.row, at, share[:, life])
    for bank, life in enumerate(CHANNEL):
        at = np.full(len(hour), column("active") + bank)
        _add(folded, signs.row, at, share[:, life])


def _keep_hours(folded: RecordArray, signs: _Taken) -> None:
    """Keep the two hours that were seen last: by the order of events, for her clock goes back when she travels west.

    `signs`: the last one of each hour, ordered by record and time.
    """
    hours: npt.NDArray[np.int32] = folded["local_hours"]
    ends = np.r_[np.diff(signs.row) != 0, True]
    at = np.flatnonzero(ends)
    row, newest = signs.row[at], signs.local_hour[at]
    several = (at > 0) & (signs.row[at - 1] == row)
    latest: IntArray = hours[row, 0].astype(np.int64)
    older: IntArray = hours[row, 1].astype(np.int64)
    kept = np.where(latest == newest, older, latest)
    hours[row, 1] = np.where(several, signs.local_hour[at - 1], kept)
    hours[row, 0] = newest


def _add_gaps(folded: RecordArray, signs: _Taken, share: FloatArray) -> None:
    begins = np.r_[True, np.diff(signs.row) != 0]
    before: IntArray = np.where(begins, folded["seen_ms"][signs.row], np.r_[0, signs.at_ms[:-1]])
    before = np.maximum(before, folded["seen_ms"][signs.row])
    gap = signs.at_ms - before
    chosen = (before > 0) & (gap >= VISIT_GAP_MS)
    row, weight = signs.row[chosen], share[chosen, QUARTER]
    at = np.full(len(row), column("gap_h"))
    _add(folded, row, at, weight * (gap[chosen] / HOUR_MS).astype(np.float32))
    _add(folded, row, at + 1, weight)


def _add_answers(folded: RecordArray, taken: _Taken, left: FloatArray) -> None:
    """Count sends by their local hour, and opens by the hour of the latest send on their channel before them."""
    on_channel = np.flatnonzero(taken.channel >= 0)
    told, share = taken.where(on_channel), left[on_channel, SLOW]
    sent = np.flatnonzero(told.kind == SignKind.SENT)
    sends = told.where(sent)
    _add(folded, sends.row, column("exposed") + sends.local_hour % 24, share[sent])
    latest_ms = _latest_sends(folded, told)
    is_answer = (told.kind == SignKind.OPENED) & (latest_ms > 0) & (told.at_ms - latest_ms <= ANSWER_MS)
    answers = np.flatnonzero(is_answer)
    hour = (latest_ms[answers] + told.offset_ms[answers]) // HOUR_MS % 24
    _add(folded, told.row[answers], column("answered") + hour, share[answers])


def _latest_sends(folded: RecordArray, taken: _Taken) -> IntArray:
    """By sign (each on a channel): when the latest send there before it was, 0 where none is known."""
    group = taken.row * _C + taken.channel
    order = np.lexsort((taken.kind, taken.at_ms, group))
    is_send = taken.kind[order] == SignKind.SENT
    place = np.maximum.accumulate(np.where(is_send, np.arange(len(order)), -1)) if len(order) else order
    found = (place >= 0) & (group[order][place] == group[order])
    in_batch = np.zeros(len(order), np.int64)
    in_batch[order] = np.where(found, taken.at_ms[order][place], 0)
    before: IntArray = folded["sent_ms"][taken.row, taken.channel]
    return np.maximum(in_batch, np.where(before <= taken.at_ms, before, 0))


_COUNTED: Final = (
    ("sent", (SignKind.SENT,)),
    ("opened", (SignKind.OPENED,)),
    ("clicked", (SignKind.CLICKED,)),
    ("touched", (SignKind.OPENED, SignKind.CLICKED, SignKind.ACTIVE)),
)


def _add_counts(folded: RecordArray, taken: _Taken, left: FloatArray) -> None:
    on_channel = taken.channel >= 0
    for name, kinds in _COUNTED:
        chosen = np.flatnonzero(on_channel & np.isin(taken.kind, kinds))
        row, channel = taken.row[chosen], taken.channel[chosen]
        for bank, life in enumerate(CHANNEL):
            _add(folded, row, column(name) + bank * _C + channel, left[chosen, life])
    for name, kind, life in (("machine", SignKind.MACHINE, MONTH), ("refused", SignKind.REFUSED, QUARTER)):
        chosen = np.flatnonzero(on_channel & (taken.kind == kind))
        _add(folded, taken.row[chosen], column(name) + taken.channel[chosen], left[chosen, life])


def _set_times(folded: RecordArray, taken: _Taken) -> None:
    there = taken.where(taken.personal)
    seen_ms, first_ms = folded["seen_ms"], folded["first_ms"]
    np.maximum.at(seen_ms, there.row, there.at_ms)
    first_ms[there.row[first_ms[there.row] == 0]] = np.iinfo(np.int64).max
    np.minimum.at(first_ms, there.row, there.at_ms)
    for name, kinds in (("sent_ms", (SignKind.SENT,)), ("engaged_ms", (SignKind.OPENED, SignKind.CLICKED))):
        chosen = taken.where((taken.channel >= 0) & np.isin(taken.kind, kinds))
        np.maximum.at(folded[name], (chosen.row, chosen.channel), chosen.at_ms)


def _remember(folded: RecordArray, taken: _Taken) -> None:
    """Keep the ids of the latest events of each user."""
    named = taken.where(taken.ident != 0)
    row, start, count = np.unique(named.row, return_index=True, return_counts=True)
    rank = np.arange(len(named.row)) - np.repeat(start, count)
    latest = np.repeat(count, count) - rank <= RECENT
    at = (folded["recent_at"][named.row] + rank) % RECENT
    folded["recent"][named.row[latest], at[latest]] = named.ident[latest]
    folded["recent_at"][row] = (folded["recent_at"][row] + count) % RECENT
