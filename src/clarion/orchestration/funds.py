"""What tenants have left to spend, as deciding weighs it: prices by channel, and the money of each row's budgets.

What is decided by it is a plan. The binding act is at the till (`delivery.till`), when a delivery is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import numpy as np

from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.delivery.budgets import BudgetStore, draws_on, ledger_of, read_spent, stops
from clarion.delivery.costs import CostStore
from clarion.delivery.prices import cheapest
from clarion.orchestration.limits import Limits
from clarion.tenancy.environments import accounts_for

if TYPE_CHECKING:
    from clarion.orchestration.draft import Checked
    from clarion.tenancy.config import TenantConfig
    from clarion.tenancy.model import Category

FRESH_S: Final = 1.0
"""How old what is left may be: a decision is a plan, and the till counts to the millionth."""

PLENTY: Final = 1e15
"""Micros that no message costs, and that no price without end fits into."""

_NO_BUDGETS: Final[tuple[int, ...]] = ()


class Funds(Protocol):
    """What is left of tenants' budgets."""

    async def left(self, config: TenantConfig, now_ms: int) -> Sequence[int]:
        """Micros left of each of the tenant's budgets, in their order; where nobody knows, all of it."""
        ...


class NoFunds:
    """`Funds` where no budget is looked at: everything is left."""

    async def left(self, config: TenantConfig, now_ms: int) -> Sequence[int]:
        """All of each."""
        del now_ms
        return [budget.limit_micros for budget in config.spending.budgets]


class _Read(msgspec.Struct, frozen=True):
    left: Sequence[int]
    version: int
    at_s: float


class CachedFunds:
    """`Funds` by what workers share, read at most once a second a tenant. `monotonic`: seconds that never go back."""

    def __init__(self, budgets: BudgetStore, costs: CostStore, monotonic: Callable[[], float]) -> None:
        self._budgets = budgets
        self._costs = costs
        self._monotonic = monotonic
        self._reads: dict[bytes, _Read] = {}

    async def left(self, config: TenantConfig, now_ms: int) -> Sequence[int]:
        """Micros left of each budget, at most FRESH_S old."""
        budgets = config.spending.budgets
        if not budgets:
            return _NO_BUDGETS
        tenant_id, now_s = config.tenant.tenant_id, self._monotonic()
        known = self._reads.get(tenant_id)
        if known is not None and known.version == config.version and now_s - known.at_s < FRESH_S:
            return known.left
        ledger = ledger_of(budgets, config.tenant, now_ms)
        spent = await read_spent(ledger.accounts, self._budgets, self._costs)
        left = [max(0, limit - (micros or 0)) for limit, micros in zip(ledger.limits, spent, strict=True)]
        self._reads[tenant_id] = _Read(left, config.version, now_s)
        return left


class Spender(msgspec.Struct, frozen=True):
    """One row of a batch that may cost money. `left`: of its tenant's budgets; empty where none is looked at."""

    checked: Checked
    config: TenantConfig
    left: Sequence[int]


def limits_of(spenders: Sequence[Spender], now_ms: int) -> Limits:
    """The prices and budgets of a batch's rows. Without any budget all is free: nothing is weighed against money."""
    if not any(spender.left for spender in spenders):
        return Limits()
    prices: dict[tuple[bytes, str], list[int]] = {}
    accounts: dict[tuple[bytes, str], int] = {}
    budget: list[float] = []
    cost = np.zeros((len(spenders), len(CHANNELS)))
    account = np.zeros(len(spenders), np.int64)
    for row, spender in enumerate(spenders):
        tenant_id, category = spender.config.tenant.tenant_id, spender.checked.draft.category
        if spender.left:
            country = spender.checked.card.country
            price = prices.get((tenant_id, country))
            if price is None:
                price = prices[tenant_id, country] = _prices(spender.config, country, now_ms)
            cost[row] = _affordable(spender, category, price)
        # Rows that draw on the same budgets share an account; those without any have one of their own kind.
        key = (tenant_id if spender.left else b"", category.name)
        place = accounts.setdefault(key, len(accounts))
        if place == len(budget):
            budget.append(_money(spender, category))
        account[row] = place
    return Limits(cost=cost, account=account, budget=np.array(budget))


def _prices(config: TenantConfig, country: str, now_ms: int) -> list[int]:
    """The least that a message costs to a country, by channel."""
    live = accounts_for(config, is_test=False)
    return [cheapest(live, channel, country, now_ms) for channel in CHANNELS]


def _money(spender: Spender, category: Category) -> float:
    """What the budgets of all channels that may stop a category leave it, in micros."""
    budgets = spender.config.spending.budgets
    return min(
        (
            float(left)
            for left, budget in zip(spender.left, budgets, strict=False)
            if not budget.channel and budget.category in {"", category.name} and stops(budget, category)
        ),
        default=PLENTY,
    )


def _affordable(spender: Spender, category: Category, price: Sequence[int]) -> list[float]:
    """The prices by channel; without end where a budget of that channel alone has less left."""
    budgets = spender.config.spending.budgets
    costs = [float(one) for one in price]
    for place, budget in enumerate(budgets):
        index = CHANNEL_INDEX.get(budget.channel)
        if index is None or place not in draws_on(budgets, budget.channel, category.name):
            continue
        if stops(budget, category) and price[index] > spender.left[place]:
            costs[index] = np.inf
    return costs
