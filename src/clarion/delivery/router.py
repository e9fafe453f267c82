"""The route tables of one process: made from a tenant's settings and the live figures, at most a second old."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from clarion.delivery.circuit import CircuitKey
from clarion.delivery.circuits import Circuits
from clarion.delivery.figures import Figures
from clarion.delivery.ranking import PriceOf, Sight
from clarion.delivery.route import RouteTable, ServicesOf
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.environments import accounts_for

FRESH_MS: Final = 1_000
"""Tables are refreshed so often, with the board's news."""

OLD_MS: Final = 1_500
"""A table that nobody refreshed for so long is made anew by the message that needs it."""

MAX_ORDERS: Final = 250
"""Made in one refresh: about 10 ms in which the process does nothing else."""

MAX_TABLES: Final = 10_000
"""In one process, so that a burst of many tenants leaves no mark."""


SPENT_MS: Final = 5_000
"""An account that has no token for longer than this is left out while its channel has another one."""


def _no_services(account: ProviderConfig) -> Collection[str]:
    del account
    return ()


def _never_full(key: CircuitKey) -> int:
    del key
    return 0


class Facts(msgspec.Struct, frozen=True):
    """What else is known of accounts: the push services they send to, and until when they have no token left."""

    services_of: ServicesOf = _no_services
    full_until: Callable[[CircuitKey], int] = _never_full


class _Made(msgspec.Struct):
    """A table, and what it was made of. `is_used`: since it was made."""

    table: RouteTable
    config: TenantConfig
    at_ms: int
    is_used: bool = True


class Router:
    """Gives the table that a tenant's deliveries are routed by. Only accounts of this region are in it."""

    def __init__(
        self,
        region: str,
        figures: Figures,
        circuits: Circuits,
        price_of: PriceOf,
        facts: Facts | None = None,
    ) -> None:
        self.figures = figures
        self.circuits = circuits
        self._region = region
        self._price_of = price_of
        self._facts = facts or Facts()
        self._made: dict[tuple[bytes, bool], _Made] = {}

    def table(self, config: TenantConfig, now_ms: int, *, is_test: bool) -> RouteTable:
        """The table of a tenant's live accounts, or of those for tests. Its accounts count as in use from now."""
        key = (config.tenant.tenant_id, is_test)
        made = self._made.get(key)
        if made is not None and made.config.version == config.version and 0 <= now_ms - made.at_ms < OLD_MS:
            made.is_used = True
            return made.table
        return self._make(config, now_ms, is_test=is_test)

    def refresh(self, now_ms: int) -> int:
        """Make the tables in use anew, with the orders that were asked for, so that no message waits for them.

        To be called once a second; how many orders were made. Of more than MAX_ORDERS the rest are made when they are
        asked for. Tables that were not used since the last call are dropped.
        """
        orders = 0
        for (tenant_id, is_test), made in list(self._made.items()):
            if not made.is_used:
                del self._made[tenant_id, is_test]
                continue
            asked = made.table.asked()
            if orders + len(asked) > MAX_ORDERS:
                continue
            orders += len(asked)
            table = self._make(made.config, now_ms, is_test=is_test)
            self._made[tenant_id, is_test].is_used = False
            for channel, destination, urgent in asked:
                table.ranking(channel, destination, urgent=urgent)
            table.forget_asked()
        return orders

    def _make(self, config: TenantConfig, now_ms: int, *, is_test: bool) -> RouteTable:
        accounts = [
            account
            for account in accounts_for(config, is_test=is_test)
            if not account.regions or self._region in account.regions
        ]
        used = [((account.tenant_id, account.name), account.version) for account in accounts]
        self.circuits.use(used, now_ms)
        sight = Sight(self.figures, self._price_of, now_ms)
        going = self._with_tokens(accounts, now_ms)
        table = RouteTable(going, config.routing, sight, self._facts.services_of)
        if len(self._made) >= MAX_TABLES:
            self._made.clear()
        self._made[config.tenant.tenant_id, is_test] = _Made(table, config, now_ms)
        return table

    def _with_tokens(self, accounts: Sequence[ProviderConfig], now_ms: int) -> Sequence[ProviderConfig]:
        """The accounts without those whose quota is spent, as far as their channels have others."""
        spent = {
            account.name
            for account in accounts
            if self._facts.full_until((account.tenant_id, account.name)) > now_ms + SPENT_MS
        }
        if not spent:
            return accounts
        served = {account.channel for account in accounts if account.enabled and account.name not in spent}
        return [account for account in accounts if account.name not in spent or account.channel not in served]
