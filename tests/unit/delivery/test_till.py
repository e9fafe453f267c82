"""The till: what goes on while nobody knows what is left, and what is counted."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from clarion.contracts.work import WorkItem
from clarion.delivery.budgets import (
    LOOK_AGAIN_MS,
    Account,
    ledger_of,
    period_end_ms,
    period_start,
    read_spent,
)
from clarion.delivery.costs import CostKey, CostLine, CostMeter, SpentOn
from clarion.delivery.model import Job, Message, Outcome
from clarion.delivery.pumping import Block, Blocks, Stopped
from clarion.delivery.run import Ready
from clarion.delivery.till import STORE_WAIT_MS, Till, priced_outcomes
from clarion.kernel.errors import Transient
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, Tenant
from clarion.tenancy.spending import Budget, Guard, Spending
from clarion.testing.spending import InMemoryBudgets

TENANT = bytes(16)
NOON = 1_795_348_800_000
"""2026-11-22T12:00:00Z."""

ACCOUNT = ProviderConfig("texts", TENANT, "twilio", "sms", {}, {}, cost_micros=10)


class Written:
    """`CostStore` that remembers, or is away."""

    def __init__(self, micros: int = 0, *, is_away: bool = False) -> None:
        self.micros = micros
        self.is_away = is_away

    async def add(self, lines: Sequence[CostLine]) -> list[CostLine]:
        """As they are."""
        return list(lines)

    async def spent(self, wanted: Sequence[SpentOn]) -> list[int]:
        """The same of each."""
        if self.is_away:
            raise Transient("away")
        return [self.micros] * len(wanted)


def config(*budgets: Budget) -> TenantConfig:
    categories = {category.name: category for category in DEFAULT_CATEGORIES}
    tenant = Tenant(TENANT, "shop", timezone="Europe/Paris")
    return TenantConfig(tenant, 1, categories, {}, [ACCOUNT], spending=Spending(budgets))


def ready(of: TenantConfig, category: str = "marketing", *, expires_ms: int = 0) -> Ready:
    delivery_id = os.urandom(16)
    job = Job(
        item=WorkItem(delivery_id, TENANT, "sms", 5),
        user_id=1,
        category=category,
        template="",
        template_version=0,
        payload=b"",
        personalization=b"",
        external_id="ada",
        timezone="",
        language="",
        country="",
        sealed=b"",
        state="ready",
        lease_epoch=0,
        lease_live=False,
        attempts=0,
        provider="",
        expires_ms=expires_ms,
        due_ms=0,
        traceparent="",
    )
    message = Message(delivery_id, TENANT, "sms", 1, to="+33612345678", body="Hello")
    return Ready(job, of, message, [])


def sent(*these: Ready) -> list[Outcome]:
    return [Outcome(one.job.item.delivery_id, "sent") for one in these]


async def test_while_the_budgets_are_away_only_what_they_may_stop_waits():
    budgets = InMemoryBudgets()
    budgets.is_away = True
    till, mine = Till(budgets, Written()), config(Budget("all", 100))
    campaign, receipt = ready(mine), ready(mine, "transactional")
    bill = await till.open(ACCOUNT, [campaign, receipt], NOON)
    assert bill.going == [receipt]
    (waits,) = bill.closings
    assert (waits.status, waits.entry.rule) == ("deferred", "budget_unavailable")
    assert waits.due_ms == NOON + STORE_WAIT_MS
    await till.close(bill, [receipt], sent(receipt), NOON)
    assert [line.micros for line in till.meter.drain()] == [10]


async def test_a_new_period_goes_on_from_what_was_written_down():
    till, mine = Till(InMemoryBudgets(), Written(95)), config(Budget("all", 100))
    bill = await till.open(ACCOUNT, [ready(mine)], NOON)
    assert not bill.going
    assert bill.closings[0].entry.rule == "budget"
    assert bill.closings[0].due_ms == NOON + LOOK_AGAIN_MS


async def test_a_store_that_is_away_for_settling_stops_nobody():
    budgets = InMemoryBudgets()
    till, mine = Till(budgets, Written()), config(Budget("all", 100))
    one = ready(mine)
    bill = await till.open(ACCOUNT, [one], NOON)
    budgets.is_away = True
    await till.close(bill, [one], sent(one), NOON)
    assert [line.sent for line in till.meter.drain()] == [1]


async def test_the_vendors_word_on_a_price_wins():
    till, mine = Till(), config()
    one, other = ready(mine), ready(mine)
    bill = await till.open(ACCOUNT, [one, other], NOON)
    said = [Outcome(one.job.item.delivery_id, "sent", cost_micros=7), *sent(other)]
    assert [outcome.cost_micros for outcome in priced_outcomes(said, bill)] == [7, 10]


async def test_what_waits_for_money_until_it_is_worthless_expires():
    till = Till(InMemoryBudgets(), Written())
    mine = config(Budget("codes", 5, category="security"))
    bill = await till.open(ACCOUNT, [ready(mine, "security", expires_ms=NOON + 60_000)], NOON)
    assert [closing.status for closing in bill.closings] == ["expired"]


async def test_a_tenant_without_budgets_any_more_is_not_watched():
    till = Till(InMemoryBudgets(), Written())
    await till.open(ACCOUNT, [ready(config(Budget("all", 100)))], NOON)
    assert set(till.budgeted) == {TENANT}
    await till.open(ACCOUNT, [ready(config())], NOON)
    assert not till.budgeted


@pytest.mark.parametrize(
    ("period", "zone", "ends"),
    [
        ("day", "Europe/Paris", 1_795_388_400_000),
        ("month", "Europe/Paris", 1_796_079_600_000),
        ("month", "UTC", 1_796_083_200_000),
    ],
)
def test_a_period_ends_where_the_tenant_lives(period: str, zone: str, ends: int):
    tenant = Tenant(TENANT, "shop", timezone=zone)
    found = period_end_ms("month" if period == "month" else "day", tenant, NOON)
    assert found == ends


def test_a_month_counts_from_its_first_day():
    assert period_start("month", 20261122) == 20261101
    assert period_start("day", 20261122) == 20261122


async def test_what_workers_do_not_know_is_read_from_what_was_written():
    budgets, account = InMemoryBudgets(), Account(TENANT, 20261122, "day", "", "")
    assert await read_spent([account], budgets, Written(42)) == [42]
    await budgets.raise_to([account], [50])
    assert await read_spent([account], budgets, Written(42)) == [50]
    budgets.is_away = True
    assert await read_spent([account], budgets, Written(is_away=True)) == [None]


def test_budgets_of_one_scope_share_an_account():
    budgets = (Budget("a", 1), Budget("b", 2), Budget("c", 3, channel="sms"))
    ledger = ledger_of(budgets, Tenant(TENANT, "shop"), NOON)
    assert ledger.accounts[0] == ledger.accounts[1] != ledger.accounts[2]


def test_counts_that_could_not_be_told_are_told_later():
    blocks, block = Blocks(), Block(TENANT, "+3361234")
    blocks.sent(block, Guard())
    counts = blocks.drain()
    blocks.sent(block, Guard())
    blocks.restore(counts)
    assert [count.sent for count in blocks.drain()] == [2]


def test_a_stop_ends_and_tenants_who_send_no_more_are_forgotten():
    blocks, block = Blocks(), Block(TENANT, "+3361234")
    blocks.sent(block, Guard())
    blocks.drain()
    blocks.learn([Stopped(block, NOON + 1000, is_new=True)], NOON)
    assert blocks.is_stopped(block, NOON)
    assert not blocks.is_stopped(block, NOON + 1000)
    assert [count.sent for count in blocks.drain()] == [0]
    blocks.learn([], NOON + 1000)
    assert blocks.drain() == []


def test_a_meter_adds_up_and_is_empty_afterwards():
    meter = CostMeter()
    key = CostKey(TENANT, 20261122, "texts", "sms", "marketing", "FR", is_test=False)
    for _ in range(3):
        meter.add(CostLine(key, 1, 2, 20, 30))
    assert meter.drain() == [CostLine(key, 3, 6, 60, 90)]
    assert meter.drain() == []
