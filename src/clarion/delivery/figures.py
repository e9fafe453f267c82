"""Live figures: how each account does lately, everywhere and by destination. Pure; time is passed in.

A `Tally` counts what happened, with every count losing half its weight each HALF_LIFE_MS, so that what is not asked
any more is slowly forgotten, and found to be better than it was by a trickle of messages (`route`). Workers add their
tallies to those of the region once a second and get the sum back (`ports.ProviderBoard`).

Thin figures lean on what is known of more: a destination's on its account's, the account's on a healthy one's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from clarion.delivery.circuit import ADDRESSEE_CODE, CircuitKey
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.model import AUTH_CODE, Outcome

HALF_LIFE_MS: Final = 120_000
"""Long enough to tell a low rate from chance, and not to forget a brownout while it lasts.

What becomes worse is noticed within seconds all the same. With 60 s the brownouts of the bench `arbitrage` cost more.
"""

BOUNDS_MS: Final = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905, 1280, 1810, 2560)
"""Upper bounds of the classes of latency, √2 apart; the last class is open."""

SLOWEST_MS: Final = 5120
"""Stands for what is in the open class: far beyond the 2 s at which a score has nothing left to lose."""

MAX_DESTINATIONS: Final = 64
"""With figures of their own, of one account. What comes after counts for the account only."""

_CALLS_PRIOR: Final = 10.0
_RECEIPTS_PRIOR: Final = 20.0
"""Weight, in messages, of what is believed before any was sent: that an account is well."""

_LATENCY_PRIOR: Final = 1.0
_P99: Final = 0.99
_LEAST: Final = 0.01
"""A tally of less weight says nothing."""


class Tally(msgspec.Struct, array_like=True):
    """What became of an account's messages to one destination, as decayed counts.

    `sent`: the vendor took them; `failed`: it failed; `throttled`: it asked to slow down. `delivered` and `lost` by its
    receipts. `slow`: a count a class of BOUNDS_MS. `at_ms`: to when the counts are decayed.
    """

    at_ms: float = 0.0
    sent: float = 0.0
    failed: float = 0.0
    throttled: float = 0.0
    delivered: float = 0.0
    lost: float = 0.0
    slow: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(BOUNDS_MS) + 1))

    @property
    def weight(self) -> float:
        """How many messages (of now) it rests on."""
        return self.sent + self.failed


Tallies: TypeAlias = dict[str, Tally]
"""By destination; ANYWHERE holds all of the account's."""


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """What to expect of an account at a destination.

    `delivery_rate` and `error_rate` are shares (0 to 1): see `health.ProviderHealth`. `weight`: how many messages to
    this destination it rests on.
    """

    delivery_rate: float = 1.0
    error_rate: float = 0.0
    p99_ms: float = 0.0
    weight: float = 0.0


UNKNOWN: Final = Estimate()


def decay(tally: Tally, now_ms: float) -> Tally:
    """The tally as of `now_ms`. Clocks that went back change nothing."""
    if now_ms <= tally.at_ms:
        return tally
    left = _left(tally, now_ms)
    return Tally(
        now_ms,
        tally.sent * left,
        tally.failed * left,
        tally.throttled * left,
        tally.delivered * left,
        tally.lost * left,
        [count * left for count in tally.slow],
    )


def add(tally: Tally, more: Tally) -> Tally:
    """Both together, as of the later one's instant."""
    at_ms = max(tally.at_ms, more.at_ms)
    left, right = decay(tally, at_ms), decay(more, at_ms)
    return Tally(
        at_ms,
        left.sent + right.sent,
        left.failed + right.failed,
        left.throttled + right.throttled,
        left.delivered + right.delivered,
        left.lost + right.lost,
        [mine + theirs for mine, theirs in zip(left.slow, right.slow, strict=True)],
    )


def estimate(account: Tally, there: Tally, now_ms: float) -> Estimate:
    """What to expect at a destination as of `now_ms`, from its own tally and its account's."""
    everywhere, here = _left(account, now_ms), _left(there, now_ms)
    accepted = _rate(account.sent, account.failed, everywhere, 1.0, _CALLS_PRIOR)
    accepted = _rate(there.sent, there.failed, here, accepted, _CALLS_PRIOR)
    arrives = _rate(account.delivered, account.lost, everywhere, 1.0, _RECEIPTS_PRIOR)
    arrives = _rate(there.delivered, there.lost, here, arrives, _RECEIPTS_PRIOR)
    p99_ms = _p99_ms(there.slow, here, _p99_ms(account.slow, everywhere, 0.0))
    return Estimate(accepted * arrives, 1.0 - accepted, p99_ms, there.weight * here)


def _left(tally: Tally, now_ms: float) -> float:
    """The share of a tally's counts that is left by now."""
    passed_ms = now_ms - tally.at_ms
    return 0.5 ** (passed_ms / HALF_LIFE_MS) if passed_ms > 0 else 1.0


def _rate(good: float, bad: float, left: float, prior: float, prior_weight: float) -> float:
    return (good * left + prior * prior_weight) / ((good + bad) * left + prior_weight)


def _p99_ms(slow: Sequence[float], left: float, prior_ms: float) -> float:
    """The class that the slowest hundredth begins in, leaning on the prior while there are few."""
    count = sum(slow)
    weight = count * left
    if weight < _LEAST:
        return prior_ms
    beyond = count * (1 - _P99)
    place = len(slow) - 1
    while place > 0 and slow[place] <= beyond:
        beyond -= slow[place]
        place -= 1
    bound = BOUNDS_MS[place] if place < len(BOUNDS_MS) else SLOWEST_MS
    return (bound * weight + prior_ms * _LATENCY_PRIOR) / (weight + _LATENCY_PRIOR)


def is_failure(outcome: Outcome) -> bool:
    """Whether an outcome speaks against the account: not where it speaks of the addressee or the message.

    Nor where the credentials were refused: the breaker sees to that, and with others the account is well at once.
    """
    is_elsewhere = outcome.code == AUTH_CODE or outcome.code.startswith(ADDRESSEE_CODE)
    return outcome.kind in {"transient", "ambiguous"} and not is_elsewhere


class Figures:
    """The figures of one process: those of the region as last read, and what happened here since.

    Memory is bounded by the accounts in use: `keep` drops the others.
    """

    def __init__(self) -> None:
        self._known: dict[CircuitKey, Tallies] = {}
        self._fresh: dict[CircuitKey, Tallies] = {}

    def observe(
        self, key: CircuitKey, outcomes: Sequence[Outcome], destinations: Sequence[str], took_ms: float
    ) -> None:
        """Count what one call came to, `destinations` in the order of the outcomes (empty: they are all ANYWHERE).

        `took_ms`: of the whole call, for outcomes that do not say how long theirs took.
        """
        fresh = self._fresh.setdefault(key, {ANYWHERE: Tally()})
        everywhere = fresh[ANYWHERE]
        if not destinations:
            _count(everywhere, outcomes, took_ms)
            return
        apart: dict[str, list[Outcome]] = {}
        for outcome, destination in zip(outcomes, destinations, strict=True):
            apart.setdefault(destination, []).append(outcome)
        for destination, there in apart.items():
            _count(everywhere, there, took_ms)
            if destination != ANYWHERE and (destination in fresh or len(fresh) <= MAX_DESTINATIONS):
                _count(fresh.setdefault(destination, Tally()), there, took_ms)

    def observe_receipts(self, key: CircuitKey, destination: str, *, delivered: int, lost: int) -> None:
        """Count what the vendor said later: what arrived, and what it gave up."""
        fresh = self._fresh.setdefault(key, {ANYWHERE: Tally()})
        for there in {ANYWHERE, destination}:
            if there in fresh or len(fresh) <= MAX_DESTINATIONS:
                tally = fresh.setdefault(there, Tally())
                tally.delivered += delivered
                tally.lost += lost

    def take(self, now_ms: float) -> dict[CircuitKey, Tallies]:
        """What happened here since the last call, and has to be told; from now on it counts as known here."""
        fresh, self._fresh = self._fresh, {}
        for key, tallies in fresh.items():
            for tally in tallies.values():
                tally.at_ms = now_ms
            known = self._known.setdefault(key, {})
            for destination, tally in tallies.items():
                known[destination] = add(known[destination], tally) if destination in known else tally
        return fresh

    def learn(self, region: Mapping[CircuitKey, Tallies]) -> None:
        """Take over what the region knows of these accounts, which includes all that was taken here."""
        self._known.update(region)

    def estimate(self, key: CircuitKey, destination: str, now_ms: float) -> Estimate:
        """What to expect of an account at a destination."""
        known = self._known.get(key)
        if known is None:
            return UNKNOWN
        account = known.get(ANYWHERE, _NOTHING)
        there = account if destination == ANYWHERE else known.get(destination, _NOTHING)
        return estimate(account, there, now_ms)

    def tally(self, key: CircuitKey, now_ms: float) -> Tally:
        """All that is known of an account."""
        return decay(self._known.get(key, {}).get(ANYWHERE, _NOTHING), now_ms)

    def keep(self, keys: Collection[CircuitKey]) -> None:
        """Drop all accounts but these, which are in use here; the region remembers the others."""
        for key in [key for key in self._known if key not in keys]:
            del self._known[key]


_NOTHING: Final = Tally()


def _count(tally: Tally, outcomes: Sequence[Outcome], took_ms: float) -> None:
    for outcome in outcomes:
        if outcome.kind == "sent":
            tally.sent += 1
        elif is_failure(outcome):
            tally.failed += 1
        else:
            tally.throttled += outcome.kind == "throttled"
            continue
        tally.slow[bisect_left(BOUNDS_MS, outcome.took_ms or took_ms)] += 1
