"""What an account costs and may be asked of, through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMS: dict[str, Any] = {"kind": "sandbox", "channel": "sms"}


async def put(caller: Caller, **fields: Any) -> Any:
    return await caller.call("PUT /providers/texts", {**SMS, **fields})


async def test_prices_quota_and_regions_come_back_as_they_were_given(caller: Caller):
    cost = {
        "default": 0.0075,
        "by_country": {"FR": 0.06, "DE": 0.07},
        "changes": [{"from": "2090-01-01T00:00:00+00:00", "default": None, "by_country": {"FR": 0.05}}],
    }
    quota = {
        "per_s": 12.5,
        "per_day": 1000,
        "ramp": {"since": "2026-11-01", "start": 50, "factor": 1.5, "until": 9000},
    }
    answer = await put(caller, cost=cost, quota=quota, regions=["eu-west-1"])
    assert answer.status == 200, answer.body
    for body in (answer.json(), (await caller.call("GET /providers/texts")).json()):
        assert body["cost"]["default"] == 0.0075
        assert body["cost"]["by_country"] == {"DE": 0.07, "FR": 0.06}
        assert [change["by_country"] for change in body["cost"]["changes"]] == [{"FR": 0.05}]
        assert (body["quota"], body["regions"], body["cost"]["source"]) == (quota, ["eu-west-1"], "account")


async def test_an_account_without_a_price_shows_the_list_price_and_where_it_was_read(caller: Caller):
    assert (await put(caller)).json()["cost"]["default"] == 0
    starting = (await caller.call("GET /providers/sandbox-email")).json()["cost"]
    assert starting["source"] == "free of charge"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"cost": {"default": -1}}, "cost.default"),
        ({"cost": {"by_country": {"France": 1}}}, "cost.by_country"),
        ({"cost": {"by_country": {"FR": 1e9}}}, "cost.by_country"),
        ({"cost": {"changes": [{"default": 1}]}}, "cost.changes[0].from"),
        (
            {"cost": {"changes": [{"from": "2090-01-01T00:00:00Z"}, {"from": "2090-01-01T00:00:00Z"}]}},
            "cost.changes",
        ),
        ({"quota": {"per_s": 0}}, "quota.per_s"),
        ({"quota": {"per_day": 0}}, "quota.per_day"),
        ({"quota": {"ramp": {"since": "soon"}}}, "quota.ramp.since"),
        ({"quota": {"ramp": {"since": "2026-01-01", "factor": 1}}}, "quota.ramp.factor"),
    ],
)
async def test_money_and_quotas_that_cannot_be(caller: Caller, fields: Any, path: str):
    answer = await put(caller, **fields)
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"].startswith(path)


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"budgets": [{"name": "a", "limit": -1}]}, 400, "budgets[0].limit"),
        ({"budgets": [{"name": "a"}]}, 400, "budgets[0].limit"),
        ({"budgets": [{"name": "a", "limit": 1, "period": "week"}]}, 400, "budgets[0].period"),
        ({"budgets": [{"name": "a", "limit": 1}, {"name": "a", "limit": 2}]}, 400, "budgets"),
        ({"budgets": [{"name": "a", "limit": 1, "category": "none"}]}, 422, "budgets[0].category"),
        ({"sms_guard": {"factor": 0.5}}, 400, "sms_guard.factor"),
    ],
)
async def test_budgets_that_cannot_be(caller: Caller, body: Any, status: int, path: str):
    answer = await caller.call("PUT /analytics/budgets", body)
    assert answer.status == status
    assert answer.json()["errors"][0]["path"] == path


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("start_date=2026-02-30", "start_date"),
        ("start_date=2026-02-02&end_date=2026-02-01", "start_date"),
        ("start_date=2020-01-01&end_date=2026-02-01", "start_date"),
        ("group_by=user", "group_by"),
    ],
)
async def test_a_report_that_cannot_be(caller: Caller, query: str, path: str):
    answer = await caller.call(f"GET /analytics/cost?{query}")
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path


async def test_a_tenant_sees_its_own_budgets_only(caller: Caller, other: Caller):
    await caller.call("PUT /analytics/budgets", {"budgets": [{"name": "mine", "limit": 1}]})
    assert (await other.call("GET /analytics/budgets")).json()["budgets"] == []
    assert (await other.call("GET /analytics/cost")).json()["total_sent"] == 0
