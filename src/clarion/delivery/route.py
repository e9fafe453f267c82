"""Which of a tenant's providers sends a delivery.

By weight, and by the delivery's id: the same delivery goes to the same provider each time for as long as that one is
let through, so that a retry meets the provider that can recognise it. Where its breaker is open the next one is asked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import Final

import msgspec

from clarion.contracts.work import URGENT_PRIORITY, WorkItem
from clarion.delivery.circuit import CLOSED, Circuit
from clarion.delivery.circuits import Circuits
from clarion.delivery.failover import untried_first
from clarion.kernel.ids import hash64
from clarion.tenancy.config import ProviderConfig

WAIT_SPREAD_MS: Final = 10_000
"""Those that wait for a provider come back over this long: a backlog asking each second would be work for nothing."""

_CHANNEL_BITS: Final = 4
"""The lowest bits of a delivery id are its channel (`contracts.work`), the same for all deliveries of a table."""


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """Where a delivery goes: to `provider`; or, with that "", to no one before `wait_until_ms`.

    Both empty: the tenant has no enabled provider for the channel.
    """

    provider: str = ""
    wait_until_ms: int = 0


_NOBODY: Final = Assignment()


class _Choice:
    """The providers of one tenant and channel. Those of weight 0 stand by: they serve when no other is let through."""

    def __init__(self, configs: Sequence[ProviderConfig]) -> None:
        weighted = [config for config in configs if config.weight > 0]
        self.names = [config.name for config in weighted]
        self.standby = [config.name for config in configs if config.weight <= 0]
        self.ends = list(accumulate(config.weight for config in weighted))
        self.assignments = {config.name: Assignment(config.name) for config in configs}

    def preferred(self, lot: int) -> int | None:
        """The place in `names` that the uniform number `lot` falls on; None where all stand by."""
        return bisect_right(self.ends, lot % self.ends[-1]) if self.ends else None

    def fallbacks(self, lot: int) -> list[str]:
        """All but the preferred one, in the order in which to ask them: the others of the ring, then the standby."""
        place = self.preferred(lot)
        others = [] if place is None else self.names[place + 1 :] + self.names[:place]
        # Turned by the lot, so that the load of a broken provider does not fall on its neighbour alone.
        turn = lot % len(others) if others else 0
        return others[turn:] + others[:turn] + self.standby


class RouteTable:
    """The enabled providers of the tenants at hand, ready for look-ups. Built anew when a tenant's config moves."""

    def __init__(self, configs: Iterable[ProviderConfig]) -> None:
        enabled: dict[tuple[bytes, str], list[ProviderConfig]] = {}
        for config in configs:
            if config.enabled:
                enabled.setdefault((config.tenant_id, config.channel), []).append(config)
        self._choices = {key: _Choice(sorted(found, key=_name_of)) for key, found in enabled.items()}

    def assign(
        self, item: WorkItem, circuits: Circuits, now_ms: int, tried: Collection[str] | None = None
    ) -> Assignment:
        """The provider of one delivery now, counted at its breaker.

        One that failed before (`tried`: at these providers; None: it did not) is no probe again: while any provider is
        up it goes to such a one, or waits for it. Those that it was not tried with are asked first.
        """
        tenant = item.tenant_id
        choice = self._choices.get((tenant, item.channel))
        if choice is None:
            return _NOBODY
        lot = hash64(item.delivery_id) >> _CHANNEL_BITS
        place = choice.preferred(lot)
        first = [] if place is None else [choice.names[place]]
        if first and tried is None and circuits.admit((tenant, first[0]), now_ms):
            return choice.assignments[first[0]]
        names = first + choice.fallbacks(lot)
        if tried is not None:
            spared = _spared(names, {name: circuits.state_of((tenant, name)) for name in names})
            names = untried_first(spared, tried)
        for name in names:
            if circuits.admit((tenant, name), now_ms):
                return choice.assignments[name]
        soonest = min(circuits.admits_from((tenant, name), now_ms) for name in names)
        # One-time codes are few and cannot wait: they make the probes.
        spread_ms = 0 if item.priority <= URGENT_PRIORITY else lot % WAIT_SPREAD_MS
        return Assignment(wait_until_ms=soonest + spread_ms)


def choose(
    items: Sequence[WorkItem],
    table: RouteTable,
    circuits: Circuits,
    now_ms: int,
    retried: Mapping[bytes, Collection[str]] = MappingProxyType({}),
) -> list[Assignment]:
    """One assignment per item, in order. `now_ms` is on the clock of the items' `due_ms`.

    `retried`: the deliveries that failed before, by id, with the providers that had better not be asked again.

    Every assignment to a provider whose breaker is not closed uses up a part of what that breaker lets through, so
    assign only what is going to be sent.
    """
    return [table.assign(item, circuits, now_ms, retried.get(item.delivery_id)) for item in items]


def _spared(names: Sequence[str], states: Mapping[str, Circuit]) -> list[str]:
    """The providers to ask for a delivery that failed before: those that did not fail last come first."""
    up = [name for name in names if states[name].state != "open"] or list(names)
    return sorted(up, key=lambda name: states[name] != CLOSED)


def _name_of(config: ProviderConfig) -> str:
    """Order of the providers: by name, so that every worker draws the same lots."""
    return config.name
