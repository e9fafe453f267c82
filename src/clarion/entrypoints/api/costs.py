"""What was sent and spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from clarion.adapters.postgres.costs import CostSum
from clarion.entrypoints.api.provider_money import amount_of
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import known_zone, local_day
from clarion.tenancy.model import TEST

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366

_GROUPS: Final[dict[str, Callable[[CostSum], str]]] = {
    "channel": lambda one: one.channel,
    "provider": lambda one: one.provider,
    "category": lambda one: one.category,
}


class CostQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calendar days of the tenant's time zone, both included; null: the last 30 days, to today."""

    start_date: date | None = None
    end_date: date | None = None
    group_by: Literal["channel", "provider", "category"] | None = None


class CostGroup(msgspec.Struct, frozen=True):
    """What messages cost together, and a thousand of them (`cpm`)."""

    sent: int
    cost: Decimal
    cpm: Decimal


class CostReport(msgspec.Struct, frozen=True):
    """What was sent and spent, in currency units. With `group_by` one of the maps is filled, else all are.

    `optimization_savings`: how much more it would have cost, had each message's provider been drawn by lot among the
    accounts of its channel.
    """

    start_date: date
    end_date: date
    total_cost: Decimal
    total_sent: int
    cost_per_message: Decimal
    optimization_savings: Decimal
    by_channel: dict[str, CostGroup]
    by_provider: dict[str, CostGroup]
    by_category: dict[str, CostGroup]


@route(
    "GET /api/v1/analytics/cost",
    Spec(tag="analytics", scope="analytics:read", rate="read", query=CostQuery, answers={200: CostReport}),
)
async def get_cost(call: Call) -> Reply:
    """What was sent and spent between two days, as of about a second ago.

    A key of the test environment sees what tests would have cost.
    """
    query = call.query(CostQuery)
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    first, last = _days(query, local_day(known_zone(config.tenant.timezone), region.clock.now_ms()))
    is_test = call.principal.environment == TEST
    sums = await region.costs.read(call.tenant_id, (first, last), is_test=is_test)
    sent, micros = sum(one.sent for one in sums), sum(one.micros for one in sums)
    groups = {
        name: _grouped(sums, key) if query.group_by in {None, name} else {} for name, key in _GROUPS.items()
    }
    return json_reply(
        CostReport(
            start_date=first,
            end_date=last,
            total_cost=amount_of(micros),
            total_sent=sent,
            cost_per_message=_each(micros, sent),
            optimization_savings=amount_of(sum(one.mean_micros for one in sums) - micros),
            by_channel=groups["channel"],
            by_provider=groups["provider"],
            by_category=groups["category"],
        )
    )


def _days(query: CostQuery, today: int) -> tuple[date, date]:
    last = query.end_date or date(today // 10_000, today // 100 % 100, today % 100)
    first = query.start_date or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise Invalid("lies after end_date", "start_date")
    if (last - first).days >= MAX_DAYS:
        raise Invalid(f"at most {MAX_DAYS} days at once", "start_date")
    return first, last


def _grouped(sums: Iterable[CostSum], key: Callable[[CostSum], str]) -> dict[str, CostGroup]:
    totals: dict[str, list[int]] = {}
    for one in sums:
        total = totals.setdefault(key(one), [0, 0])
        total[0] += one.sent
        total[1] += one.micros
    return {
        name: CostGroup(sent, amount_of(micros), 1000 * _each(micros, sent))
        for name, (sent, micros) in sorted(totals.items())
    }


def _each(micros: int, sent: int) -> Decimal:
    """The cost of one message, to the millionth."""
    return amount_of(round(micros / sent)) if sent else Decimal(0)


ROUTES: Final[tuple[Route, ...]] = (get_cost,)
