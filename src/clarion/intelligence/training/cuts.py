"""Past and future of users at instants of history: what a model is fitted on, and may not see more than.

    ──────── signs ────────▶ at_ms ──── horizon ────▶
    folded into records (past)    counted (future)

The past of a cut is what the same `fold` that serves would have known at its instant; the future is what came after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.fold import ANSWER_MS, fold
from clarion.intelligence.features.record import RecordArray, empty_records
from clarion.intelligence.features.signs import SignKind, Signs
from clarion.kernel.dice import fractions
from clarion.kernel.local_time import DAY_MS, HOUR_MS, IntArray

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_C: Final = len(CHANNELS)
_MONDAY: Final = 3
_SATURDAY: Final = 5

SOON_MS: Final = 28 * DAY_MS
"""How far the future of channels and of sends reaches."""

MOST_USERS: Final = 20_000
"""Users of whom cuts are made: eleven copies of their records are 220 MB, and more would tell nothing new."""

_SALT: Final = 0x5EED
_MOST_CUTS: Final = 6
_LATELY: Final = 6
_LONGEST_HORIZON_MS: Final = 180 * DAY_MS
"""What people do in half a year is what a habit is; further away, other people are there."""


@dataclass(frozen=True, slots=True, eq=False)
class Sends:
    """N sends of a cut's future.

    `row` [N]: of the cut's records; `channel` [N]; `day_type`, `hour` [N]: local, of the send; `answered` [N]: whether
    an open or a click on the channel followed before the next send there, within 72 hours. `class_` [N]: of the
    message's category, -1 where it is not known.
    """

    row: IntArray
    channel: IntArray
    day_type: IntArray
    hour: IntArray
    answered: BoolArray
    class_: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """B users at the instant `at_ms`.

    `records` [B]: what was known of them (empty ones of who only came later). `presence` [B, 2, 24]: distinct active
    hours of the horizon, by day type and local hour. `touched` [B, C]: signs of their own accord, by channel, and
    `sends`: both of the next four weeks, for rates and channels change faster than hours.
    """

    at_ms: int
    records: RecordArray
    presence: FloatArray
    touched: FloatArray
    sends: Sends


def cut_times(from_ms: int, to_ms: int) -> tuple[list[int], int]:
    """Instants at which to cut a history of [from_ms, to_ms), rising, and how far the future reaches after each, in ms.

    The first third is past to all of them. They are a future apart, and denser within the last one, so that what
    changed lately is seen: the futures of those end with the history.
    """
    span = to_ms - from_ms
    horizon = min(_LONGEST_HORIZON_MS, span // 6)
    long_ago = min(_MOST_CUTS, max(2, (span - span // 3) // max(horizon, 1)))
    apart = max(SOON_MS, horizon // _LATELY)
    lately = range(to_ms - apart, to_ms - horizon, -apart)
    times = {to_ms - horizon * (nth + 1) for nth in range(int(long_ago))}
    return sorted(times.union(lately)), horizon


def cut(signs: Signs, at_ms: Sequence[int], horizon_ms: int, until_ms: int | None = None) -> list[Cut]:
    """The cuts of a history at rising instants. `signs` in any order.

    Futures reach as far as the horizon, and never to `until_ms` (None: to the end of the history). Of more users than
    `MOST_USERS`, so many by chance, the same ones each time.
    """
    users = some_users(np.unique(signs.user_id))
    signs = signs.where(np.isin(signs.user_id, users))
    ordered = signs.where(np.argsort(signs.at_ms, kind="stable"))
    records = empty_records(users.tolist())
    cuts: list[Cut] = []
    done = 0
    for instant in at_ms:
        end_ms = instant + horizon_ms if until_ms is None else min(instant + horizon_ms, until_ms)
        ends = np.searchsorted(ordered.at_ms, [instant, end_ms])
        start, end = int(ends[0]), int(ends[1])
        records = fold(records, ordered.where(np.arange(done, start)))
        done = start
        cuts.append(_cut_at(records, ordered.where(np.arange(start, end)), instant))
    return cuts


def some_users(users: IntArray) -> IntArray:
    """At most `MOST_USERS` of these users (rising), by chance, the same ones each time; in their order."""
    if len(users) <= MOST_USERS:
        return users
    lots = fractions(users.astype(np.uint64), _SALT)
    return users[np.sort(np.argsort(lots, kind="stable")[:MOST_USERS])]


def cut_and_hold(signs: Signs, from_ms: int, to_ms: int) -> tuple[list[Cut], Cut]:
    """Cuts of a history of [from_ms, to_ms) to fit on, and one to judge by: its future begins where all theirs ended.

    That future is four weeks, or a sixth of a shorter history.
    """
    judged_ms = to_ms - min(SOON_MS, (to_ms - from_ms) // 6)
    times, horizon_ms = cut_times(from_ms, judged_ms)
    cuts = cut(signs, times, horizon_ms, judged_ms)
    (held,) = cut(signs, [judged_ms], to_ms - judged_ms)
    return cuts, held


def _cut_at(records: RecordArray, future: Signs, at_ms: int) -> Cut:
    """The cut at an instant, of the users who were there before it or are there after it."""
    row = np.searchsorted(records["user_id"], future.user_id)
    is_there = records["as_of_ms"] > 0
    is_there[row] = True
    rows = np.cumsum(is_there) - 1
    row = rows[row]
    kept: RecordArray = records[is_there]
    soon = future.at_ms < at_ms + SOON_MS
    own = np.flatnonzero((future.kind == SignKind.ACTIVE) & (future.channel >= 0) & soon)
    touched = np.bincount(row[own] * _C + future.channel[own], minlength=len(kept) * _C)
    return Cut(
        at_ms=at_ms,
        records=kept,
        presence=count_presence(row, future, len(kept)),
        touched=touched.reshape(-1, _C).astype(np.float32),
        sends=_sends(row[soon], future.where(np.flatnonzero(soon))),
    )


def count_presence(row: IntArray, future: Signs, rows: int) -> FloatArray:
    """Distinct active hours of signs whose users are in `row`, by day type and local hour: [rows, 2, 24]."""
    personal = np.isin(future.kind, (SignKind.OPENED, SignKind.CLICKED, SignKind.ACTIVE))
    hour = ((future.at_ms + future.offset_ms) // HOUR_MS)[personal]
    row = row[personal]
    _, first = np.unique(np.stack((row, hour)), axis=1, return_index=True)
    at = row[first] * 48 + day_type_of(hour[first]) * 24 + hour[first] % 24
    return np.bincount(at, minlength=rows * 48).reshape(-1, 2, 24).astype(np.float32)


def day_type_of(local_hour: IntArray) -> IntArray:
    """0 from Monday to Friday, of local hours since 1970."""
    weekday: IntArray = (local_hour // 24 + _MONDAY) % 7
    return (weekday >= _SATURDAY).astype(np.int64)


def _sends(row: IntArray, future: Signs) -> Sends:
    chosen = np.flatnonzero(
        (future.channel >= 0) & np.isin(future.kind, (SignKind.SENT, SignKind.OPENED, SignKind.CLICKED))
    )
    group = row[chosen] * _C + future.channel[chosen]
    chosen = chosen[np.lexsort((future.kind[chosen], future.at_ms[chosen], group))]
    group = row[chosen] * _C + future.channel[chosen]
    is_send = future.kind[chosen] == SignKind.SENT
    sends = np.flatnonzero(is_send)
    follows = np.cumsum(is_send) - 1
    signs = np.flatnonzero(~is_send & (follows >= 0))
    to = sends[follows[signs]] if len(sends) else signs
    soon = future.at_ms[chosen[signs]] - future.at_ms[chosen[to]] <= ANSWER_MS
    hits = follows[signs][(group[signs] == group[to]) & soon]
    answered = np.zeros(len(sends), np.bool_)
    answered[hits] = True
    at = chosen[sends]
    hour = (future.at_ms[at] + future.offset_ms[at]) // HOUR_MS
    class_ = np.full(len(at), -1, np.int64) if future.class_ is None else future.class_[at]
    return Sends(row[at], future.channel[at], day_type_of(hour), hour % 24, answered, class_)
