"""What a tenant may spend."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.contracts.channels import Channel
from clarion.contracts.commands import Name
from clarion.delivery.budgets import BudgetState, ledger_of, period_end_ms, read_spent, state_of
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.provider_money import amount_of, micros_of
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, Unknown
from clarion.orchestration.rows import format_time
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.spending import DEFAULT_SOFT_SHARE, Budget, Guard, Period, Spending

MAX_BUDGETS: Final = 50
MAX_LIMIT: Final = 1_000_000_000


class BudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be spent in a period of the tenant's time zone, in currency units.

    Counted is what is spent on `channel` and in `category`; null: on and in all. At `soft_share` of the limit it
    alarms. At the limit it stops marketing; a budget with a category is that category's own cap, and stops it anyway.
    """

    name: Name
    limit: Annotated[float, Meta(ge=0, le=MAX_LIMIT)]
    period: Period = "day"
    channel: Channel | None = None
    category: Name | None = None
    soft_share: Annotated[float, Meta(ge=0, le=1)] = DEFAULT_SOFT_SHARE


class GuardBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When text messages to one block of numbers are held to be pumped, and stopped for an hour.

    Within an hour more than `floor`, and more than `factor` times the block's hourly mean of the day before. Only
    transactional messages are counted and stopped.
    """

    enabled: bool = True
    factor: Annotated[float, Meta(ge=1, le=1000)] = 10.0
    floor: Annotated[int, Meta(ge=0, le=1_000_000)] = 300


class BudgetsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/analytics/budgets`: all budgets of the tenant, which replace those before."""

    budgets: Annotated[list[BudgetBody], Meta(max_length=MAX_BUDGETS)] = []
    sms_guard: GuardBody = GuardBody()


class BudgetView(msgspec.Struct, frozen=True):
    """A budget, and what is spent of it. `spent` includes what is being sent now; null: not known at the moment."""

    name: str
    limit: Decimal
    period: Period
    channel: str | None
    category: str | None
    soft_share: float
    spent: Decimal | None
    state: BudgetState | None
    ends_at: str


class BudgetsView(msgspec.Struct, frozen=True):
    """All budgets of the tenant, as they stand."""

    budgets: list[BudgetView]
    sms_guard: GuardBody


_BODY: Final = JsonBody(BudgetsBody)
_EXAMPLE: Final = {
    "budgets": [
        {"name": "all", "limit": 200.0, "period": "day"},
        {"name": "codes", "limit": 50.0, "period": "day", "channel": "sms", "category": "security"},
    ]
}


@route(
    "PUT /api/v1/analytics/budgets",
    Spec(
        tag="analytics",
        scope="analytics:write",
        body=_BODY,
        answers={200: BudgetsView},
        problems=(422,),
        examples={"body": _EXAMPLE},
    ),
)
async def put_budgets(call: Call) -> Reply:
    """Replace all budgets.

    What was spent in the present period counts for a new budget, too. A message that a budget stops waits for the next
    period, is looked at each hour, and expires as any other.
    """
    body = await call.read(_BODY)
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    spending = _spending(body, config)
    await region.tenants.put_spending(call.tenant_id, spending)
    region.configs.forget(call.tenant_id)
    return json_reply(await _view(call, msgspec.structs.replace(config, spending=spending)))


@route(
    "GET /api/v1/analytics/budgets",
    Spec(tag="analytics", scope="analytics:read", rate="read", answers={200: BudgetsView}),
)
async def get_budgets(call: Call) -> Reply:
    """All budgets, and what is spent of each in its present period."""
    return json_reply(await _view(call, await call.services.gateway.region.configs.get(call.tenant_id)))


def _spending(body: BudgetsBody, config: TenantConfig) -> Spending:
    names = [budget.name for budget in body.budgets]
    if len(set(names)) < len(names):
        raise Invalid("two budgets have the same name", "budgets")
    for place, budget in enumerate(body.budgets):
        if budget.category is not None and budget.category not in config.categories:
            known = ", ".join(sorted(config.categories))
            raise Unknown(
                f"no category {budget.category!r}; there are: {known}", f"budgets[{place}].category"
            )
    budgets = tuple(
        Budget(
            name=budget.name,
            limit_micros=micros_of(budget.limit),
            period=budget.period,
            channel=budget.channel or "",
            category=budget.category or "",
            soft_share=budget.soft_share,
        )
        for budget in body.budgets
    )
    guard = body.sms_guard
    return Spending(budgets, Guard(guard.enabled, guard.factor, guard.floor))


async def _view(call: Call, config: TenantConfig) -> BudgetsView:
    region = call.services.gateway.region
    now_ms = region.clock.now_ms()
    budgets, guard = config.spending.budgets, config.spending.guard
    ledger = ledger_of(budgets, config.tenant, now_ms)
    spent = await read_spent(ledger.accounts, region.budgets, region.costs)
    views = [
        BudgetView(
            name=budget.name,
            limit=amount_of(budget.limit_micros),
            period=budget.period,
            channel=budget.channel or None,
            category=budget.category or None,
            soft_share=budget.soft_share,
            spent=None if micros is None else amount_of(micros),
            state=None if micros is None else state_of(budget, micros),
            ends_at=format_time(period_end_ms(budget.period, config.tenant, now_ms)),
        )
        for budget, micros in zip(budgets, spent, strict=True)
    ]
    return BudgetsView(views, GuardBody(guard.enabled, guard.factor, guard.floor))


ROUTES: Final[tuple[Route, ...]] = (put_budgets, get_budgets)
