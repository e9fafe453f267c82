"""The route tables of one process: made from a tenant's settings and the live figures, at most a second old."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.delivery.circuits import Circuits
from clarion.delivery.figures import Figures
from clarion.delivery.ranking import PriceOf, Sight
from clarion.delivery.route import RouteTable, ServicesOf
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.environments import accounts_for

FRESH_MS: Final = 1_000
"""A table serves for so long. What it stands on moves with the board's news, once a second."""

MAX_TABLES: Final = 10_000
"""In one process, so that a burst of many tenants leaves no mark."""


class _Made(msgspec.Struct, frozen=True):
    table: RouteTable
    version: int
    at_ms: int


class Router:
    """Gives the table that a tenant's deliveries are routed by. Only accounts of this region are in it."""

    def __init__(
        self,
        region: str,
        figures: Figures,
        circuits: Circuits,
        price_of: PriceOf,
        services_of: ServicesOf = lambda _: (),
    ) -> None:
        self.figures = figures
        self.circuits = circuits
        self._region = region
        self._price_of = price_of
        self._services_of = services_of
        self._made: dict[tuple[bytes, bool], _Made] = {}

    def table(self, config: TenantConfig, now_ms: int, *, is_test: bool) -> RouteTable:
        """The table of a tenant's live accounts, or of those for tests. Its accounts count as in use from now."""
        key = (config.tenant.tenant_id, is_test)
        made = self._made.get(key)
        if made is not None and made.version == config.version and 0 <= now_ms - made.at_ms < FRESH_MS:
            return made.table
        accounts = [
            account
            for account in accounts_for(config, is_test=is_test)
            if not account.regions or self._region in account.regions
        ]
        used = [((account.tenant_id, account.name), account.version) for account in accounts]
        self.circuits.use(used, now_ms)
        sight = Sight(self.figures, self._price_of, now_ms)
        table = RouteTable(accounts, config.routing, sight, self._services_of)
        if len(self._made) >= MAX_TABLES:
            self._made.clear()
        self._made[key] = _Made(table, config.version, now_ms)
        return table
