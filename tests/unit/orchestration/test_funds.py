"""What a tenant has left to spend, as deciding weighs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clarion.compliance.rules import Rule
from clarion.contracts.commands import NotificationRequest
from clarion.intelligence.serving import NeutralPrior
from clarion.orchestration.decide import decide
from clarion.orchestration.draft import NO_TEMPLATE, Checked
from clarion.orchestration.funds import PLENTY, Spender, limits_of
from clarion.orchestration.model import Candidate
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, Tenant
from clarion.tenancy.spending import Budget, Prices, Spending
from clarion.testing.decisions import make_card, make_draft

TENANT = bytes(16)
NOW = 1_795_000_000_000
CATEGORIES = {category.name: category for category in DEFAULT_CATEGORIES}


def config(*budgets: Budget, providers: Sequence[ProviderConfig] = ()) -> TenantConfig:
    return TenantConfig(
        Tenant(TENANT, "shop"), 1, CATEGORIES, {}, list(providers), spending=Spending(tuple(budgets))
    )


def sms(name: str, micros: int, **fields: Any) -> ProviderConfig:
    return ProviderConfig(name, TENANT, "twilio", "sms", {}, {}, cost_micros=micros, **fields)


def spender(of: TenantConfig, left: Sequence[int], category: str = "marketing", country: str = "") -> Spender:
    draft = make_draft(category=CATEGORIES[category])
    request = NotificationRequest(user_id="ada", category=category)
    return Spender(Checked(request, draft, make_card(country=country), NO_TEMPLATE), of, left)


def test_without_a_budget_nothing_is_weighed_against_money():
    assert limits_of([spender(config(providers=[sms("a", 50)]), ())], NOW).cost is None


def test_a_message_costs_the_least_that_any_account_asks_for_its_country():
    accounts = [
        sms("a", 80),
        sms("b", 60, prices=(Prices(by_country={"FR": 90}),)),
        sms("c", 1, enabled=False),
    ]
    mine = config(Budget("all", 1_000), providers=accounts)
    limits = limits_of([spender(mine, [1_000]), spender(mine, [1_000], country="FR")], NOW)
    assert limits.cost is not None
    assert limits.cost[:, 2].tolist() == [60, 80]
    assert limits.budget is not None
    assert limits.budget.tolist() == [1_000]


def test_only_budgets_that_may_stop_a_category_limit_it():
    mine = config(Budget("all", 100), Budget("codes", 70, category="security"), providers=[sms("a", 60)])
    limits = limits_of([spender(mine, [100, 70], name) for name in ("marketing", "service", "security")], NOW)
    assert limits.budget is not None
    assert limits.account is not None
    assert limits.budget[limits.account].tolist() == [100, PLENTY, 70]


def test_a_budget_of_one_channel_shuts_that_channel_alone():
    mine = config(Budget("texts", 100, channel="sms"), providers=[sms("a", 60)])
    limits = limits_of([spender(mine, [59])], NOW)
    assert limits.cost is not None
    assert limits.cost[0].tolist() == [0, 0, np.inf]


def test_who_cannot_be_paid_for_is_told_the_rule_and_those_before_count():
    mine = config(Budget("all", 100), providers=[sms("a", 60)])
    rows = [spender(mine, [100]) for _ in range(2)]
    candidates = [
        Candidate(make_draft(category=CATEGORIES["service"], requested=0b100), row.checked.card)
        for row in rows
    ]
    first, second = decide(candidates, NeutralPrior(), limits_of(rows, NOW), NOW)
    assert first.choices
    assert not second.choices
    assert [reason.rule for reason in second.reasons if reason.channel == "sms"] == [Rule.BUDGET]
