"""The till: what a portion costs is known before it is sent, held against budgets, and counted when it is paid.

    price ─▶ stopped blocks ─▶ hold ─▶ ( call ) ─▶ settle ─▶ count

An account that is free, of a tenant without budgets, costs a sum in memory a portion, and no talk with any store.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from clarion.compliance.rules import EXPLANATIONS, Rule
from clarion.delivery import conclude, pumping
from clarion.delivery.budgets import (
    LOOK_AGAIN_MS,
    Account,
    BudgetState,
    BudgetStore,
    Claim,
    Ledger,
    draws_on,
    ledger_of,
    period_end_ms,
    stops,
)
from clarion.delivery.conclude import Closing, close, defer
from clarion.delivery.costs import CostKey, CostLine, CostMeter, CostStore
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.model import Outcome
from clarion.delivery.prices import Priced, price_messages, price_without_choice
from clarion.delivery.pumping import Blocks, block_of
from clarion.kernel.errors import Transient
from clarion.kernel.local_time import known_zone, local_day
from clarion.tenancy.environments import accounts_for

if TYPE_CHECKING:
    from clarion.delivery.run import Ready
    from clarion.tenancy.config import ProviderConfig, TenantConfig
    from clarion.tenancy.model import Category
    from clarion.tenancy.spending import Budget

STORE_WAIT_MS: Final = 30_000
"""How long what a budget may stop waits while nobody knows what is left of it."""

_NO_LEDGER: Final = Ledger((), ())
_PAID: Final = frozenset({"sent", "ambiguous"})
"""Outcomes that a vendor may put on its bill."""


class NoBudgets:
    """`BudgetStore` of a process that keeps none: everything may be spent."""

    async def hold(self, ledger: Ledger, claims: Sequence[Claim]) -> list[int] | None:
        """Every claim holds."""
        del ledger
        return [-1] * len(claims)

    async def settle(self, ledger: Ledger, claims: Sequence[Claim]) -> None:
        """Nothing."""

    async def spent(self, accounts: Sequence[Account]) -> list[int | None]:
        """Nobody knows."""
        return [None] * len(accounts)

    async def raise_to(self, accounts: Sequence[Account], micros: Sequence[int]) -> None:
        """Nothing."""

    async def first_to_alarm(self, account: Account, limit: int, state: BudgetState) -> bool:
        """Nobody alarms."""
        del account, limit, state
        return False


class Bill(msgspec.Struct, frozen=True):
    """A portion at the till: who goes on, what each costs, and what is held for it (claims by delivery id)."""

    account: ProviderConfig
    going: Sequence[Ready]
    closings: list[Closing]
    priced: Mapping[bytes, Priced]
    ledger: Ledger = _NO_LEDGER
    claims: Mapping[bytes, Claim] = {}


class Till:
    """The till of one process."""

    def __init__(self, budgets: BudgetStore | None = None, costs: CostStore | None = None) -> None:
        self.budgets: BudgetStore = budgets or NoBudgets()
        self._costs = costs
        self.meter = CostMeter()
        self.blocks = Blocks()
        self.budgeted: dict[bytes, TenantConfig] = {}
        """Tenants with budgets that this process sent for, whose spending it looks after."""

    async def open(self, account: ProviderConfig, ready: Sequence[Ready], now_ms: int) -> Bill:
        """Price a portion of one account, and hold what it will cost. `closings`: what may not be paid for."""
        prices = price_messages(account, [one.message for one in ready], now_ms)
        priced = {one.job.item.delivery_id: price for one, price in zip(ready, prices, strict=True)}
        bill = Bill(account, ready, [], priced)
        if account.channel == "sms":
            bill = self._without_stopped(bill, now_ms)
        config = ready[0].config
        if not config.spending.budgets:
            self.budgeted.pop(account.tenant_id, None)
            return bill
        self.budgeted[account.tenant_id] = config
        if not any(price.micros for price in prices):
            return bill
        return await self._held(bill, config, now_ms)

    async def close(
        self, bill: Bill, begun: Sequence[Ready], outcomes: Sequence[Outcome], at_ms: int
    ) -> None:
        """Settle what was held by what was sent, and count it. Never raises: what was sent is to be recorded."""
        costs = dict.fromkeys((one.job.item.delivery_id for one in bill.going), 0)
        for outcome in outcomes:
            if outcome.kind in _PAID:
                costs[outcome.delivery_id] = outcome.cost_micros or bill.priced[outcome.delivery_id].micros
        if bill.claims:
            settled = [
                replace(claim, micros=costs.get(delivery_id, 0)) for delivery_id, claim in bill.claims.items()
            ]
            with contextlib.suppress(Transient):
                # What is held stays counted until its period ends: rather too much than too little.
                await self.budgets.settle(bill.ledger, settled)
        sent = [one for one, outcome in zip(begun, outcomes, strict=True) if outcome.kind == "sent"]
        self._count(bill, sent, costs, at_ms)

    def _without_stopped(self, bill: Bill, now_ms: int) -> Bill:
        going: list[Ready] = []
        for one in bill.going:
            block = block_of(bill.account.tenant_id, one.message.to)
            if _is_guarded(one) and self.blocks.is_stopped(block, now_ms):
                rule = conclude.Rule(pumping.RULE, pumping.EXPLANATION)
                bill.closings.append(close(one.job, "blocked", rule, now_ms))
            else:
                going.append(one)
        return replace(bill, going=going)

    async def _held(self, bill: Bill, config: TenantConfig, now_ms: int) -> Bill:
        budgets = config.spending.budgets
        ledger = ledger_of(budgets, config.tenant, now_ms)
        wanted = [(one, _claim(one, bill.priced[one.job.item.delivery_id], budgets)) for one in bill.going]
        drawing = [(one, claim) for one, claim in wanted if claim is not None and not one.job.is_test]
        refused = await self._hold(ledger, [claim for _, claim in drawing])
        refusal: dict[bytes, int] = {}
        if refused is not None:
            refusal = {
                claim.delivery_id: place
                for (_, claim), place in zip(drawing, refused, strict=True)
                if place >= 0
            }
        claims = {claim.delivery_id: claim for _, claim in drawing if claim.delivery_id not in refusal}
        going: list[Ready] = []
        for one in bill.going:
            claim = claims.get(one.job.item.delivery_id)
            if one.job.item.delivery_id in refusal:
                budget = budgets[refusal[one.job.item.delivery_id]]
                bill.closings.append(_out_of_money(one, budget, now_ms))
            elif refused is None and claim is not None and claim.stopping:
                bill.closings.append(_nobody_knows(one, now_ms))
            else:
                going.append(one)
        if refused is None:
            return replace(bill, going=going)
        return replace(bill, going=going, ledger=ledger, claims=claims)

    async def _hold(self, ledger: Ledger, claims: Sequence[Claim]) -> list[int] | None:
        """The places of the refusing budgets, -1 for none; None: what is left of them cannot be known now."""
        try:
            refused = await self.budgets.hold(ledger, claims)
            if refused is None and self._costs is not None:
                # A new period, or a store that lost its data: go on from what was written down.
                spent = await self._costs.spent([account.spent_on for account in ledger.accounts])
                await self.budgets.raise_to(ledger.accounts, spent)
                refused = await self.budgets.hold(ledger, claims)
        except Transient:
            return None
        return refused

    def _count(self, bill: Bill, sent: Sequence[Ready], costs: Mapping[bytes, int], at_ms: int) -> None:
        if not sent:
            return
        account, config = bill.account, sent[0].config
        is_test = sent[0].job.is_test
        day = local_day(known_zone(config.tenant.timezone), at_ms)
        rivals = _rivals(config, account, is_test=is_test)
        sums: dict[tuple[str, str], list[int]] = {}
        for one in sent:
            delivery_id = one.job.item.delivery_id
            price = bill.priced[delivery_id]
            mean = price_without_choice(rivals, price, at_ms) if rivals else costs[delivery_id]
            line = sums.setdefault((one.job.category, price.destination), [0, 0, 0, 0])
            line[0] += 1
            line[1] += price.segments
            line[2] += costs[delivery_id]
            line[3] += mean
            if price.destination != ANYWHERE and _is_guarded(one):
                self.blocks.sent(block_of(account.tenant_id, one.message.to), config.spending.guard)
        for (category, country), line in sums.items():
            key = CostKey(account.tenant_id, day, account.name, account.channel, category, country, is_test)
            self.meter.add(CostLine(key, *line))


def priced_outcomes(outcomes: Sequence[Outcome], bill: Bill) -> list[Outcome]:
    """The outcomes with what each sent message costs: the vendor's word, or else the price book's."""
    return [
        replace(outcome, cost_micros=bill.priced[outcome.delivery_id].micros)
        if outcome.kind == "sent" and not outcome.cost_micros and bill.priced[outcome.delivery_id].micros
        else outcome
        for outcome in outcomes
    ]


def _rivals(config: TenantConfig, account: ProviderConfig, *, is_test: bool) -> list[ProviderConfig]:
    """All enabled accounts of the channel, where there are several: those that the choice was among."""
    found = [
        one for one in accounts_for(config, is_test=is_test) if one.enabled and one.channel == account.channel
    ]
    return found if len(found) > 1 else []


def _category(one: Ready) -> Category | None:
    return one.config.categories.get(one.job.category)


def _is_guarded(one: Ready) -> bool:
    category = _category(one)
    return (
        one.config.spending.guard.enabled
        and not one.job.is_test
        and category is not None
        and category.class_ == "transactional"
    )


def _claim(one: Ready, price: Priced, budgets: Sequence[Budget]) -> Claim | None:
    """What a message asks of the budgets; None where it costs nothing, or draws on none."""
    counted = draws_on(budgets, one.job.item.channel, one.job.category) if price.micros else ()
    if not counted:
        return None
    category = _category(one)
    stopping = tuple(place for place in counted if category is not None and stops(budgets[place], category))
    return Claim(one.job.item.delivery_id, price.micros, counted, stopping)


def _out_of_money(one: Ready, budget: Budget, now_ms: int) -> Closing:
    """The message's deferral to the next period, or to where it is worth a look whether the budget was raised."""
    rule = conclude.Rule(Rule.BUDGET, f"{EXPLANATIONS[Rule.BUDGET]} ({budget.name})")
    end_ms = period_end_ms(budget.period, one.config.tenant, now_ms)
    return defer(one.job, rule, min(end_ms, now_ms + LOOK_AGAIN_MS), now_ms)


def _nobody_knows(one: Ready, now_ms: int) -> Closing:
    rule = conclude.Rule("budget_unavailable", "what is left of the budget cannot be read")
    return defer(one.job, rule, now_ms + STORE_WAIT_MS, now_ms)
