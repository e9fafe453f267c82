"""The order in which the accounts of a channel are asked for messages to one destination. Pure.

Made once a second at most for each destination, from the tenant's policy and the live figures; choosing is a look-up
in it. What scores alike and costs the same is shared by the accounts' weights, and by the delivery's id: the same
delivery goes to the same account each time for as long as the order stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.delivery.circuit import CircuitKey
from clarion.delivery.destinations import ANYWHERE, public_name_of
from clarion.delivery.figures import UNKNOWN, Estimate, Figures
from clarion.delivery.scores import URGENT, WEIGHTS, Candidate, Weights, candidate, score
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.routing import RoutingPolicy

LOT_BITS: Final = 58
"""Of a delivery's lot: a number drawn once, by its id."""

ALIKE: Final = 0.02
"""Scores so near to one another are chance: 100 ms of latency, 5 % of errors."""

THIN: Final = 20.0
"""With fewer messages behind its figures an account may have become better than they say."""

Reason: TypeAlias = Literal["score", "order", "split", "pin", "trial", "passed_over", "failover"]
"""`passed_over`: a better one was not to be asked now. `trial`: to learn whether it is better by now."""

PriceOf: TypeAlias = Callable[[ProviderConfig, str, int], int]
"""The price in micros of a message (of SMS: a segment) through an account to a destination, at a UTC millisecond."""


class Note(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Why an account was chosen, as traces show it. `candidates`: the accounts that were compared, the best first."""

    policy: str
    reason: Reason
    destination: str
    candidates: tuple[Candidate, ...] = ()


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """Where a delivery goes: to `provider`; or, with that "", to no one before `wait_until_ms`.

    Both empty: the tenant has no account that could take it. `note`: why this one; None: there was no choice.
    """

    provider: str = ""
    wait_until_ms: int = 0
    note: Note | None = None


class Sight(msgspec.Struct, frozen=True):
    """What accounts are compared by, at an instant (UTC milliseconds)."""

    figures: Figures
    price_of: PriceOf
    at_ms: int
    known: dict[CircuitKey, Estimate] = msgspec.field(default_factory=dict[CircuitKey, Estimate])

    def everywhere(self, key: CircuitKey) -> Estimate:
        """What to expect of an account, all destinations together."""
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.figures.estimate(key, ANYWHERE, self.at_ms)
        return found


class Ranking:
    """The accounts for one channel, destination and urgency. Those of weight 0 stand by: they serve last."""

    def __init__(self, first: Sequence[tuple[str, float]], rest: Sequence[str], note: Note) -> None:
        """`first` share by weight; `rest` follow in order."""
        self.names = [name for name, _ in first]
        self.rest = list(rest)
        self._ends = list(accumulate(weight for _, weight in first))
        self._note = note
        self._assignments: dict[tuple[str, Reason], Assignment] = {}
        self.on_trial: Sequence[str] = ()
        """Accounts to which a few messages go, so that it is seen if they have become better."""

    @property
    def reason(self) -> Reason:
        """Why the preferred account is chosen."""
        return self._note.reason

    def preferred(self, lot: int) -> str | None:
        """The account that a lot falls on; None where all stand by."""
        if not self.names:
            return None
        if len(self.names) == 1:
            return self.names[0]
        return self.names[self._place(lot)]

    def all_for(self, lot: int) -> list[str]:
        """Every account, in the order in which to ask them."""
        if not self.names:
            return list(self.rest)
        place = self._place(lot)
        others = self.names[place + 1 :] + self.names[:place]
        # Turned by the lot, so that the load of a broken provider does not fall on its neighbour alone.
        turn = lot % len(others) if others else 0
        return [self.names[place], *others[turn:], *others[:turn], *self.rest]

    def _place(self, lot: int) -> int:
        share = lot / (1 << LOT_BITS) * self._ends[-1]
        return min(bisect_right(self._ends, share), len(self.names) - 1)

    def assign(self, name: str, reason: Reason) -> Assignment:
        """The assignment to an account. The same object each time."""
        found = self._assignments.get((name, reason))
        if found is None:
            is_choice = len(self.names) + len(self.rest) > 1
            note = msgspec.structs.replace(self._note, reason=reason) if is_choice else None
            found = self._assignments[name, reason] = Assignment(name, note=note)
        return found


class Contender(msgspec.Struct, frozen=True):
    """An account that could take the messages. `coverage`: to how many of the services that they go to it can send."""

    account: ProviderConfig
    coverage: int = 1


class _Rated(msgspec.Struct, frozen=True):
    """A contender with its score, and the score it could have, as it does elsewhere or, if nobody knows, at best."""

    candidate: Candidate
    channel: str
    best_case: float
    weight: int
    coverage: int
    is_thin: bool

    @property
    def name(self) -> str:
        return self.candidate.provider


def rank(
    contenders: Iterable[Contender], policy: RoutingPolicy, destination: str, sight: Sight, *, urgent: bool
) -> Ranking:
    """The order of the accounts, at least one, for messages to a destination."""
    weights = URGENT if urgent else WEIGHTS[policy.policy]
    contenders = list(contenders)
    dearest = max(sight.price_of(one.account, destination, sight.at_ms) for one in contenders)
    if dearest > weights.dear_micros:
        weights = msgspec.structs.replace(weights, dear_micros=float(dearest))
    rated = [_rate(contender, destination, sight, weights) for contender in contenders]
    # By name among equals, so that every worker draws the same lots.
    rated.sort(key=lambda one: (one.weight <= 0, -one.coverage, -one.candidate.score, one.name))
    channel = rated[0].channel
    candidates = tuple(one.candidate for one in rated)
    note = Note(policy.policy, "score", public_name_of(channel, destination), candidates)
    match policy.policy:
        case "ordered":
            return _ordered(rated, policy.order, note)
        case "split":
            return _split(rated, policy.split, note)
        case _:
            return _scored(rated, note, urgent=urgent)


def _rate(contender: Contender, destination: str, sight: Sight, weights: Weights) -> _Rated:
    account = contender.account
    key = (account.tenant_id, account.name)
    found = sight.figures.estimate(key, destination, sight.at_ms)
    everywhere = sight.everywhere(key)
    price = sight.price_of(account, destination, sight.at_ms)
    return _Rated(
        candidate(account.name, found, price, weights),
        account.channel,
        score(UNKNOWN if everywhere.weight < THIN else everywhere, price, weights),
        account.weight,
        contender.coverage,
        found.weight < THIN,
    )


def _scored(rated: Sequence[_Rated], note: Note, *, urgent: bool) -> Ranking:
    best = rated[0]
    leaders = [one for one in rated if _is_like(one, best)]
    if best.weight <= 0:
        return Ranking([], [one.name for one in rated], note)
    leaders.sort(key=lambda one: one.name)
    rest = [one for one in rated if one not in leaders]
    ranking = Ranking([(one.name, one.weight) for one in leaders], [one.name for one in rest], note)
    if not urgent:
        ranking.on_trial = [one.name for one in rest if _may_have_mended(one, best)]
    return ranking


def _is_like(one: _Rated, best: _Rated) -> bool:
    return (
        one.weight > 0
        and one.coverage == best.coverage
        and one.candidate.price_micros == best.candidate.price_micros
        and best.candidate.score - one.candidate.score <= ALIKE
    )


def _may_have_mended(one: _Rated, best: _Rated) -> bool:
    """Whether an account would be the better one if it were well, and nobody has looked for a while."""
    return (
        one.is_thin
        and one.weight > 0
        and one.coverage >= best.coverage
        and one.best_case > best.candidate.score
    )


def _ordered(rated: Sequence[_Rated], order: Sequence[str], note: Note) -> Ranking:
    there = {one.name for one in rated}
    named = [name for name in order if name in there]
    others = [one.name for one in rated if one.name not in named]
    chosen, *rest = [*named, *others]
    return Ranking([(chosen, 1)], rest, msgspec.structs.replace(note, reason="order"))


def _split(rated: Sequence[_Rated], split: Mapping[str, float], note: Note) -> Ranking:
    shares = sorted((one.name, split.get(one.name, 0.0)) for one in rated)
    first = [(name, share) for name, share in shares if share > 0]
    named = {name for name, _ in first}
    rest = [one.name for one in rated if one.name not in named]
    return Ranking(first, rest, msgspec.structs.replace(note, reason="split"))
