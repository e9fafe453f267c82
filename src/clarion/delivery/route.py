"""Which of a tenant's accounts sends a delivery: a look-up in the order of the second (`ranking`), past what is broken.

    pins ─▶ the preferred account of the order ─▶ if its breaker does not let it through: the next in the order ─▶ wait

What failed before is asked of the accounts that it was not tried with first, and is never a probe while any is up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from clarion.contracts.work import URGENT_PRIORITY, WorkItem
from clarion.delivery.circuit import CLOSED, Circuit
from clarion.delivery.circuits import Circuits
from clarion.delivery.destinations import ANYWHERE, SERVICES_JOIN
from clarion.delivery.failover import untried_first
from clarion.delivery.ranking import Assignment, Contender, Ranking, Sight, rank
from clarion.kernel.ids import hash64
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.routing import DEFAULT_POLICY, Pin, RoutingPolicy

WAIT_SPREAD_MS: Final = 10_000
"""Those that wait for a provider come back over this long: a backlog asking each second would be work for nothing."""

RETURN_SPREAD_MS: Final = 3_000
"""The same while one of them comes back: it takes twice as many each second, and is at full pace after eight."""

TRIAL_SHARE: Final = 64
"""One in so many messages goes to an account that may have become the better one."""

_CHANNEL_BITS: Final = 4
"""The lowest bits of a delivery id are its channel (`contracts.work`), the same for all deliveries of a table."""

_NOBODY: Final = Assignment()

ServicesOf: TypeAlias = Callable[[ProviderConfig], Collection[str]]
"""The push services that an account can send to; none named: all."""


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A delivery that needs an account. `destination`: see `destinations`; ANYWHERE will do where there is no choice.

    `tried`: the accounts that it failed with and that had better not be asked again; None: it did not fail before.
    """

    item: WorkItem
    destination: str = ANYWHERE
    category: str = ""
    tried: Collection[str] | None = None


class RouteTable:
    """The enabled accounts of one tenant and environment, ready for look-ups. `Router` makes it anew each second."""

    def __init__(
        self,
        accounts: Iterable[ProviderConfig],
        policies: Mapping[str, RoutingPolicy],
        sight: Sight,
        services_of: ServicesOf = lambda _: (),
    ) -> None:
        self._named = {account.name: account for account in accounts if account.enabled}
        self._accounts: dict[str, list[ProviderConfig]] = {}
        for account in self._named.values():
            self._accounts.setdefault(account.channel, []).append(account)
        self._policies = policies
        self._sight = sight
        self._services_of = services_of
        self._rankings: dict[tuple[str, str, bool], Ranking | None] = {}
        self._asked: set[tuple[str, str, bool]] = set()

    def has_choice(self, channel: str) -> bool:
        """Whether it matters where a message of the channel goes."""
        return len(self._accounts.get(channel, ())) > 1

    def account(self, name: str) -> ProviderConfig:
        """An account that a delivery was assigned to. Raises KeyError on any other."""
        return self._named[name]

    def asked(self) -> list[tuple[str, str, bool]]:
        """The orders that messages asked for: channel, destination, urgency."""
        return list(self._asked)

    def forget_asked(self) -> None:
        """Count from now on which orders are asked for."""
        self._asked.clear()

    def ranking(self, channel: str, destination: str, *, urgent: bool) -> Ranking | None:
        """The order for a destination; None where no account can send there."""
        key = (channel, destination, urgent)
        self._asked.add(key)
        if key not in self._rankings:
            self._rankings[key] = self._rank(channel, destination, urgent=urgent)
        return self._rankings[key]

    def _rank(self, channel: str, destination: str, *, urgent: bool) -> Ranking | None:
        contenders = [
            Contender(account, coverage)
            for account in self._accounts.get(channel, ())
            if (coverage := self._coverage(account, destination))
        ]
        if not contenders:
            return None
        policy = self._policies.get(channel, DEFAULT_POLICY)
        return rank(contenders, policy, destination, self._sight, urgent=urgent)

    def _coverage(self, account: ProviderConfig, destination: str) -> int:
        """How many of a push's services an account can send to; 1 for what is no push."""
        if account.channel != "push" or destination == ANYWHERE:
            return 1
        wanted = destination.split(SERVICES_JOIN)
        services = self._services_of(account)
        return len(wanted) if not services else sum(service in services for service in wanted)

    def assign(self, ask: Ask, circuits: Circuits, now_ms: int) -> Assignment:
        """The account of one delivery now, counted at its breaker."""
        item = ask.item
        urgent = item.priority <= URGENT_PRIORITY
        ranking = self.ranking(item.channel, ask.destination, urgent=urgent)
        if ranking is None:
            return _NOBODY
        lot = hash64(item.delivery_id) >> _CHANNEL_BITS
        pin = self._pin(ask)
        if ask.tried is None and pin is None:
            first = _first(ranking, lot, item.tenant_id, circuits, now_ms)
            if first is not None:
                return first
        names = _names(ranking, pin, lot)
        if ask.tried is not None:
            states = {name: circuits.state_of((item.tenant_id, name)) for name in names}
            names = untried_first(_spared(names, states), ask.tried)
        for name in names:
            if circuits.admit((item.tenant_id, name), now_ms):
                if pin is not None and name == pin.provider:
                    return ranking.assign(name, "pin")
                return ranking.assign(name, "passed_over" if ask.tried is None else "failover")
        if not names:
            return _NOBODY
        keys = [(item.tenant_id, name) for name in names]
        soonest = min(circuits.admits_from(key, now_ms) for key in keys)
        is_back = any(circuits.state_of(key).state == "half_open" for key in keys)
        # One-time codes are few and cannot wait: they make the probes.
        spread_ms = 0 if urgent else lot % (RETURN_SPREAD_MS if is_back else WAIT_SPREAD_MS)
        return Assignment(wait_until_ms=soonest + spread_ms)

    def _pin(self, ask: Ask) -> Pin | None:
        policy = self._policies.get(ask.item.channel)
        for pin in policy.pins if policy is not None else ():
            if pin.category in {"", ask.category} and pin.destination in {"", ask.destination}:
                return pin
        return None


def choose(asks: Sequence[Ask], table: RouteTable, circuits: Circuits, now_ms: int) -> list[Assignment]:
    """One assignment per ask, in order. `now_ms` is on the clock of the items' `due_ms`.

    Every assignment to an account whose breaker is not closed uses up a part of what that breaker lets through, so
    assign only what is going to be sent.
    """
    return [table.assign(ask, circuits, now_ms) for ask in asks]


def _first(
    ranking: Ranking, lot: int, tenant_id: bytes, circuits: Circuits, now_ms: int
) -> Assignment | None:
    """The assignment of nearly all: to the account that stands first, or to one that is on trial."""
    if ranking.on_trial and not lot % TRIAL_SHARE:
        name = ranking.on_trial[lot // TRIAL_SHARE % len(ranking.on_trial)]
        if circuits.state_of((tenant_id, name)).state == "closed":
            return ranking.assign(name, "trial")
    name = ranking.preferred(lot)
    if name is not None and circuits.admit((tenant_id, name), now_ms):
        return ranking.assign(name, ranking.reason)
    return None


def _names(ranking: Ranking, pin: Pin | None, lot: int) -> list[str]:
    """The accounts in the order in which to ask them."""
    names = ranking.all_for(lot)
    if pin is None:
        return names
    there = [pin.provider] if pin.provider in names else []
    return there if pin.only else [*there, *(name for name in names if name != pin.provider)]


def _spared(names: Sequence[str], states: Mapping[str, Circuit]) -> list[str]:
    """The providers to ask for a delivery that failed before: those that did not fail last come first."""
    up = [name for name in names if states[name].state != "open"] or list(names)
    return sorted(up, key=lambda name: states[name] != CLOSED)
