"""`BudgetStore`: what is spent of a tenant's money, held by however many workers at once."""

from __future__ import annotations

import asyncio
import os
import secrets

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.spending import ValkeyBudgets
from clarion.delivery.budgets import Account, BudgetStore, Claim, Ledger
from clarion.testing.spending import InMemoryBudgets

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 20261122


@pytest.fixture
def budgets(clients: ValkeyClients | None) -> BudgetStore:
    return InMemoryBudgets() if clients is None else ValkeyBudgets(clients)


@pytest.fixture
def ledger() -> Ledger:
    """100 a day for all, and 30 for codes alone."""
    tenant = secrets.token_bytes(16)
    accounts = (Account(tenant, DAY, "day", "", ""), Account(tenant, DAY, "day", "", "security"))
    return Ledger(accounts, (100, 30))


async def known(budgets: BudgetStore, ledger: Ledger, *spent: int) -> None:
    await budgets.raise_to(ledger.accounts, spent or [0] * len(ledger.accounts))


def marketing(micros: int, delivery_id: bytes = b"") -> Claim:
    return Claim(delivery_id or os.urandom(16), micros, (0,), (0,))


def code(micros: int) -> Claim:
    return Claim(os.urandom(16), micros, (0, 1), (1,))


async def test_nothing_is_held_against_what_nobody_knows(budgets: BudgetStore, ledger: Ledger):
    assert await budgets.hold(ledger, [marketing(1)]) is None
    assert await budgets.spent(ledger.accounts) == [None, None]


async def test_claims_hold_in_order_until_the_limit(budgets: BudgetStore, ledger: Ledger):
    await known(budgets, ledger)
    claims = [marketing(40), marketing(40), marketing(40), marketing(20)]
    assert await budgets.hold(ledger, claims) == [-1, -1, 0, -1]
    assert await budgets.spent(ledger.accounts) == [100, 0]


async def test_what_only_counts_passes_a_spent_budget(budgets: BudgetStore, ledger: Ledger):
    await known(budgets, ledger, 100, 0)
    assert await budgets.hold(ledger, [code(20), code(20)]) == [-1, 1]
    assert await budgets.spent(ledger.accounts) == [120, 20]


async def test_a_delivery_holds_once_however_often_it_is_tried(budgets: BudgetStore, ledger: Ledger):
    await known(budgets, ledger)
    mine = os.urandom(16)
    for micros in (60, 60, 80):
        assert await budgets.hold(ledger, [marketing(micros, mine)]) == [-1]
    assert await budgets.spent(ledger.accounts) == [80, 0]


async def test_what_was_not_sent_gives_back_and_only_once(budgets: BudgetStore, ledger: Ledger):
    await known(budgets, ledger)
    kept, failed = marketing(40), marketing(40)
    await budgets.hold(ledger, [kept, failed])
    settled = [Claim(kept.delivery_id, 45, (0,), ()), Claim(failed.delivery_id, 0, (0,), ())]
    for _ in range(2):
        await budgets.settle(ledger, settled)
    assert await budgets.spent(ledger.accounts) == [45, 0]


async def test_workers_at_once_spend_no_more_than_there_is(budgets: BudgetStore, ledger: Ledger):
    await known(budgets, ledger)
    answers = await asyncio.gather(*(budgets.hold(ledger, [marketing(7)] * 3) for _ in range(20)))
    # The same delivery three times a worker: it holds once.
    held = sum(answer[0] == -1 for answer in answers if answer is not None)
    assert held == 100 // 7
    assert await budgets.spent(ledger.accounts) == [held * 7, 0]


async def test_raising_never_lowers(budgets: BudgetStore, ledger: Ledger):
    await known(budgets, ledger, 50, 5)
    await budgets.raise_to(ledger.accounts, [20, 8])
    assert await budgets.spent(ledger.accounts) == [50, 8]


async def test_each_state_of_each_limit_is_told_once(budgets: BudgetStore, ledger: Ledger):
    account = ledger.accounts[0]
    told = [await budgets.first_to_alarm(account, 100, "soft") for _ in range(2)]
    assert told == [True, False]
    assert await budgets.first_to_alarm(account, 100, "spent")
    assert await budgets.first_to_alarm(account, 200, "soft")
    assert await budgets.first_to_alarm(ledger.accounts[1], 100, "soft")


async def test_no_claims_are_no_talk(budgets: BudgetStore, ledger: Ledger):
    await budgets.settle(ledger, [])
    await known(budgets, ledger)
    assert await budgets.hold(ledger, []) == []
