"""The pace of an account: tokens at a rate, so many a day, and a rate found out where nobody knows it. Pure.

    take ─▶ tokens that are there now, or within a moment; who gets none is told when one will be there for it
    slow ─▶ a vendor throttled: half a step back, and from there slowly up again until it throttles

A pace keeps two instants instead of tokens: when it will be full again (`full_ms`), and up to when tokens are promised
to those who wait (`booked_ms`). `lua/pace_take.lua` and `lua/pace_slow.lua` do the same where all workers share it, and
one suite of tests binds both.

The rate of an account that was throttled (`rate`) starts at what got through, remembers the rate at which it was
throttled last (`ceiling`), goes back quickly to shortly below it, and then creeps: a vendor is asked too often about
once in a while, and for a share of a second.
"""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.delivery.circuit import CircuitKey

BURST_MS: Final = 100
"""Tokens that a pace holds: those of so many milliseconds, and at least one."""

PATIENCE_MS: Final = 250
"""A portion waits so long for tokens in its place. What would wait longer is queued."""

URGENT_AHEAD_MS: Final = 500
"""One-time codes take tokens that are due within this at once; the others pay for it."""

BOOK_AHEAD_MS: Final = 3_600_000
"""Nobody is told to wait longer for a token: rates change."""

LEAST_STEP_MS: Final = 1.0
"""Between two who wait."""

UNBOUNDED: Final = 1 << 40
"""More messages than anybody asks for."""

SLOWEST: Final = 0.2
"""Messages a second below which no throttling takes a pace."""

STEP_BACK: Final = 0.85
DEEPEST_STEP: Final = 0.3
SETTLE_MS: Final = 1_000
"""What was under way when a pace was slowed may still be throttled: for this long that says nothing new."""

NEAR: Final = 0.95
"""Of the ceiling: below it a pace recovers quickly."""

RECOVER_PER_S: Final = 0.1
CREEP_PER_S: Final = 0.001
PATIENT_CREEP_S: Final = 20.0
"""After this long without being throttled a pace creeps faster, by the square of the time."""

STRIDE_S: Final = 2.0
"""The most that is made up for at once: a pace that nobody used has learned nothing."""


class DayLimit(msgspec.Struct, frozen=True, gc=False):
    """At most `limit` messages on the UTC day `day` (YYYYMMDD), counted under `name`. `ends_ms`: when it is over."""

    name: str
    day: int
    limit: int
    ends_ms: int


class Ask(msgspec.Struct, frozen=True):
    """How many tokens of an account a portion wants: `urgent` of them for one-time codes, which come first.

    `behind`: how many more messages stand behind the portion, to be told when to come. `per_s`: the account's own rate;
    0: none is set. `days`: its daily limits.
    """

    key: CircuitKey
    count: int
    urgent: int = 0
    behind: int = 0
    per_s: float = 0.0
    days: tuple[DayLimit, ...] = ()


class Grant(msgspec.Struct, frozen=True, gc=False):
    """What became of an ask: the first `taken` may go in `wait_ms`; the k-th of the rest in `next_ms + k · step_ms`."""

    taken: int
    wait_ms: float = 0.0
    next_ms: float = 0.0
    step_ms: float = 0.0


class DayLeft(msgspec.Struct, frozen=True, gc=False):
    """What the fullest of an account's daily limits has left, and in how many milliseconds it is over."""

    left: int
    ends_in_ms: float


class Slowing(msgspec.Struct, frozen=True):
    """A vendor's word against our pace. Of `sent + throttled` messages it throttled so many.

    `seen_per_s`: what got through lately, as far as this process knows. `closed_ms`: it takes nothing for so long.
    `told_per_s`: the rate that it named; 0: none.
    """

    key: CircuitKey
    sent: int
    throttled: int
    seen_per_s: float
    closed_ms: float = 0.0
    told_per_s: float = 0.0


class Pace(msgspec.Struct, frozen=True):
    """The state of one account's pace. Instants are UTC ms of the store's clock; 0: never. `rate` 0: not found out."""

    full_ms: float = 0.0
    booked_ms: float = 0.0
    rate: float = 0.0
    ceiling: float = 0.0
    grown_ms: float = 0.0
    slowed_ms: float = 0.0
    closed_ms: float = 0.0
    told: float = 0.0


def rate_of(pace: Pace, per_s: float) -> float:
    """Messages a second: the least of what is set, named and found out; 0: nothing limits it."""
    return min((rate for rate in (per_s, pace.told, pace.rate) if rate > 0), default=0.0)


def grow(pace: Pace, now_ms: float) -> Pace:
    """The pace after some time without being throttled."""
    if not pace.rate:
        return pace
    seconds = min(max((now_ms - pace.grown_ms) / 1000, 0.0), STRIDE_S)
    quiet_s = max(now_ms - pace.slowed_ms, 0.0) / 1000
    if pace.rate < NEAR * pace.ceiling:
        rate = min(pace.rate + RECOVER_PER_S * pace.ceiling * seconds, NEAR * pace.ceiling)
    else:
        rate = pace.rate + CREEP_PER_S * pace.ceiling * max(1.0, (quiet_s / PATIENT_CREEP_S) ** 2) * seconds
    return msgspec.structs.replace(pace, rate=rate, grown_ms=now_ms)


def take(pace: Pace, ask: Ask, day: DayLeft, now_ms: float) -> tuple[Pace, Grant]:
    """Tokens for a portion. The urgent come first, and may run ahead."""
    pace = grow(pace, now_ms)
    rate = rate_of(pace, ask.per_s)
    token_ms = 1000 / rate if rate else 0.0
    capacity_ms = max(BURST_MS, token_ms)
    open_ms = max(pace.closed_ms - now_ms, 0.0)
    # A rate that fell leaves debts behind: nobody waits for more than a moment of the new one.
    full_in = min(max(pace.full_ms - now_ms, 0.0), capacity_ms + PATIENCE_MS + URGENT_AHEAD_MS)
    taken = 0
    for number, ahead_ms in ((ask.urgent, URGENT_AHEAD_MS), (ask.count - ask.urgent, 0)):
        room = (
            _room(capacity_ms + PATIENCE_MS + ahead_ms - full_in, token_ms) if open_ms <= PATIENCE_MS else 0
        )
        share = min(number, room, day.left - taken)
        full_in += share * token_ms
        taken += share
        if share < number:
            break
    ahead = URGENT_AHEAD_MS if taken <= ask.urgent else 0
    wait_ms = max(full_in - capacity_ms - ahead, open_ms, 0.0) if taken else 0.0
    waiting = ask.count - taken + ask.behind
    pace = msgspec.structs.replace(pace, full_ms=now_ms + full_in)
    if not waiting:
        return pace, Grant(taken, wait_ms)
    first = max(now_ms + full_in - capacity_ms + token_ms, now_ms + open_ms, pace.booked_ms)
    if taken == day.left:
        first = max(first, now_ms + day.ends_in_ms)
    first = min(first, now_ms + BOOK_AHEAD_MS)
    step_ms = max(token_ms, LEAST_STEP_MS)
    booked = min(first + waiting * step_ms, now_ms + BOOK_AHEAD_MS)
    return msgspec.structs.replace(pace, booked_ms=booked), Grant(taken, wait_ms, first - now_ms, step_ms)


def _room(ms: float, token_ms: float) -> int:
    """How many tokens come in so many milliseconds."""
    return max(0, int(ms / token_ms + 1e-9)) if token_ms else UNBOUNDED


def slow(pace: Pace, slowing: Slowing, now_ms: float) -> Pace:
    """The pace after a vendor's word: slower where it throttled, closed where it said so."""
    pace = msgspec.structs.replace(
        grow(pace, now_ms),
        closed_ms=max(pace.closed_ms, now_ms + slowing.closed_ms if slowing.closed_ms else 0.0),
        told=slowing.told_per_s or pace.told,
    )
    if not slowing.throttled or now_ms - pace.slowed_ms < SETTLE_MS:
        return pace
    before = pace.rate or max(slowing.seen_per_s, SLOWEST)
    refused = slowing.throttled / (slowing.throttled + slowing.sent)
    # The first guess is what got through: it is not too high, whatever share of the rest was refused.
    step = STEP_BACK if not pace.rate else max(DEEPEST_STEP, min(STEP_BACK, 1 - refused))
    rate = max(before * step, SLOWEST)
    return msgspec.structs.replace(
        pace, rate=rate, ceiling=before, grown_ms=now_ms, slowed_ms=now_ms, booked_ms=0.0
    )
