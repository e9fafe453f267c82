"""How an account does, as its tenant is told."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.delivery.health import BreakerReason, BreakerState, ProviderHealth
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOW_MS = 1_800_000_000_000


async def health(caller: Caller) -> dict[str, Any]:
    answer = await caller.call("GET /providers/sandbox-sms/health")
    assert answer.status == 200, answer.body
    return answer.json()


def report(
    caller: Caller, region: str, state: BreakerState = "closed", reason: BreakerReason = ""
) -> ProviderHealth:
    since_ms = 0 if state == "closed" else NOW_MS - 5000
    figures = (since_ms, 0.98765, 0.01, 120.04, 600.0, NOW_MS)
    return ProviderHealth(caller.tenant_id, "sandbox-sms", region, state, reason, *figures)


async def test_an_account_that_sent_nothing_is_unused(caller: Caller):
    told = await health(caller)
    assert (told["status"], told["regions"], told["alerts"]) == ("unused", [], [])


async def test_an_account_is_as_well_as_in_its_worst_region(api: Api, caller: Caller):
    reports = [report(caller, "eu-west-1"), report(caller, "us-east-1", "open", "failures")]
    await api.gateway.health.publish(reports)
    told = await health(caller)
    assert told["status"] == "failing"
    assert [region["breaker"] for region in told["regions"]] == ["closed", "open"]
    assert told["regions"][0] == {
        "region": "eu-west-1",
        "breaker": "closed",
        "reason": "",
        "since": None,
        "delivery_rate": 0.9877,
        "error_rate": 0.01,
        "p99_ms": 120.0,
        "attempts_per_min": 600.0,
        "updated_at": "2027-01-15T08:00:00.000Z",
    }
    assert told["regions"][1]["since"] == "2027-01-15T07:59:55.000Z"
    assert [(alert["code"], alert["region"]) for alert in told["alerts"]] == [("breaker_open", "us-east-1")]


@pytest.mark.parametrize(
    ("breaker", "status", "alerts"),
    [
        (("closed", ""), "healthy", []),
        (("half_open", "failures"), "recovering", []),
        (("open", "credentials"), "refused", ["credentials_refused"]),
        (("half_open", "credentials"), "refused", ["credentials_refused"]),
    ],
)
async def test_what_the_breaker_says_is_told(
    api: Api, caller: Caller, breaker: tuple[BreakerState, BreakerReason], status: str, alerts: list[str]
):
    await api.gateway.health.publish([report(caller, "eu-west-1", *breaker)])
    told = await health(caller)
    assert told["status"] == status
    assert [alert["code"] for alert in told["alerts"]] == alerts


async def test_an_account_that_is_switched_off_says_so(caller: Caller):
    body = {"kind": "sandbox", "channel": "sms", "enabled": False}
    assert (await caller.call("PUT /providers/sandbox-sms", body)).status == 200
    assert (await health(caller))["status"] == "off"


async def test_another_tenants_account_is_not_there(api: Api, caller: Caller, other: Caller):
    body = {"kind": "sandbox", "channel": "sms"}
    assert (await caller.call("PUT /providers/mine", body)).status == 200
    assert (await other.call("GET /providers/mine/health")).status == 404
    await api.gateway.health.publish([report(caller, "eu-west-1", "open", "failures")])
    assert (await health(other))["status"] == "unused"
