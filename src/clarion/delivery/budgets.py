"""Budgets: which of them a message draws on, and which stop it. The counting is done where all workers see it.

A message's price is held against its budgets before it is sent, atomically and under its delivery's id, and settled by
what it really cost: nothing is overspent but by a vendor that charges more than the price book says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from clarion.delivery.costs import CostStore, SpentOn
from clarion.kernel.errors import Transient
from clarion.kernel.local_time import find_zone, known_zone, local_day, next_midnight_ms
from clarion.tenancy.model import Category, Tenant
from clarion.tenancy.spending import Budget, Period

STOPPED_CLASS: Final = "marketing"
"""The class that every budget stops. Others only a cap of their own category's does."""

LOOK_AGAIN_MS: Final = 3_600_000
"""A message that waits for money is looked at again after this, for budgets are raised, too."""

BudgetState: TypeAlias = Literal["ok", "soft", "spent"]


class Account(msgspec.Struct, frozen=True, gc=False):
    """What is counted for a budget: spending in one period. Two budgets of the same scope and period share it."""

    tenant_id: bytes
    first_day: int
    period: Period
    channel: str
    category: str

    @property
    def spent_on(self) -> SpentOn:
        """The same, as it was written down."""
        return SpentOn(self.tenant_id, self.first_day, self.channel, self.category)


class Claim(msgspec.Struct, frozen=True):
    """A wish to spend `micros` on a delivery. Of the accounts of its batch: which count it, and which may refuse it."""

    delivery_id: bytes
    micros: int
    counted: tuple[int, ...]
    stopping: tuple[int, ...]


class Ledger(msgspec.Struct, frozen=True):
    """The accounts of one tenant's budgets now, and their limits in micros. Places in it are what claims name."""

    accounts: tuple[Account, ...]
    limits: tuple[int, ...]


class BudgetStore(Protocol):
    """Spending by account, which all processes share. Every method raises Transient."""

    async def hold(self, ledger: Ledger, claims: Sequence[Claim]) -> list[int] | None:
        """By claim the place of the account that refuses it, or -1: held. None: an account is not known (`raise_to`).

        In order; a delivery that holds already changes what it holds.
        """
        ...

    async def settle(self, ledger: Ledger, claims: Sequence[Claim]) -> None:
        """Replace what deliveries hold by what they cost (`micros`), for good. Repeats change nothing."""
        ...

    async def spent(self, accounts: Sequence[Account]) -> list[int | None]:
        """Spent and held of each account, in micros; None: not known."""
        ...

    async def raise_to(self, accounts: Sequence[Account], micros: Sequence[int]) -> None:
        """Let no account stand below what was written down."""
        ...

    async def first_to_alarm(self, account: Account, limit: int, state: BudgetState) -> bool:
        """Whether nobody has told yet that the account came into this state under this limit."""
        ...


def period_start(period: Period, day: int) -> int:
    """The first day (YYYYMMDD) of the period that a day belongs to."""
    return day if period == "day" else day // 100 * 100 + 1


def period_end_ms(period: Period, tenant: Tenant, now_ms: int) -> int:
    """When the present period ends, UTC ms."""
    zone = known_zone(tenant.timezone)
    if period == "day":
        return next_midnight_ms(zone, now_ms)
    month = local_day(zone, now_ms) // 100
    year, number = divmod(month // 100 * 12 + month % 100, 12)
    return int(datetime(year, number + 1, 1, tzinfo=find_zone(zone)).timestamp() * 1000)


def account_of(budget: Budget, tenant: Tenant, now_ms: int) -> Account:
    """What is counted for a budget now."""
    day = local_day(known_zone(tenant.timezone), now_ms)
    return Account(
        tenant.tenant_id, period_start(budget.period, day), budget.period, budget.channel, budget.category
    )


def ledger_of(budgets: Sequence[Budget], tenant: Tenant, now_ms: int) -> Ledger:
    """The accounts of a tenant's budgets now, in their order."""
    accounts = tuple(account_of(budget, tenant, now_ms) for budget in budgets)
    return Ledger(accounts, tuple(budget.limit_micros for budget in budgets))


def draws_on(budgets: Sequence[Budget], channel: str, category: str) -> tuple[int, ...]:
    """Places of the budgets that a message's cost counts for."""
    return tuple(
        place
        for place, budget in enumerate(budgets)
        if budget.channel in {"", channel} and budget.category in {"", category}
    )


def stops(budget: Budget, category: Category) -> bool:
    """Whether the budget, once it is spent, stops messages of a category that draw on it."""
    return category.class_ == STOPPED_CLASS or budget.category == category.name


def state_of(budget: Budget, spent_micros: int) -> BudgetState:
    """How far a budget is used."""
    if spent_micros >= budget.limit_micros:
        return "spent"
    return "soft" if spent_micros >= budget.soft_share * budget.limit_micros else "ok"


async def read_spent(accounts: Sequence[Account], budgets: BudgetStore, costs: CostStore) -> list[int | None]:
    """What is spent of each account, in micros: what workers share, or else what was written down. None: unknown."""
    shared: list[int | None] = [None] * len(accounts)
    with contextlib.suppress(Transient):
        shared = await budgets.spent(accounts)
    unknown = [place for place, micros in enumerate(shared) if micros is None]
    if unknown:
        with contextlib.suppress(Transient):
            written = await costs.spent([accounts[place].spent_on for place in unknown])
            for place, micros in zip(unknown, written, strict=True):
                shared[place] = micros
    return shared
