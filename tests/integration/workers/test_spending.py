"""What is sent is priced and counted; what budgets do not allow waits; codes are stopped by their own cap only."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from clarion.bootstrap import Worker
from clarion.entrypoints.workers.spending import watch_budgets, write_costs
from clarion.testing.waiting import eventually
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRICE = 0.05
EVENING = {"timezone": "UTC"}


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> AsyncGenerator[Bench]:
    """A tenant whose text messages cost PRICE, to France twice as much."""
    await put_sms(caller)
    yield Bench(caller, worker)
    worker.dispatch.till.meter.drain()


async def put_sms(caller: Caller, name: str = "sandbox-sms", **cost: Any) -> None:
    body = {
        "kind": "sandbox",
        "channel": "sms",
        "cost": {"default": PRICE, "by_country": {"FR": 2 * PRICE}, **cost},
    }
    answer = await caller.call(f"PUT /providers/{name}", body)
    assert answer.status == 200, answer.body


async def put_budgets(bench: Bench, *budgets: dict[str, Any], **more: Any) -> Any:
    answer = await bench.caller.call("PUT /analytics/budgets", {"budgets": list(budgets), **more})
    assert answer.status == 200, answer.body
    bench.worker.region.configs.forget(bench.caller.tenant_id)
    return answer.json()


async def text(
    bench: Bench, *numbers: str, category: str = "transactional", body: str = "Hello", **fields: Any
) -> None:
    """A text message to each of these numbers, all decided and open."""
    for number in numbers:
        name = f"user{number}"
        await bench.caller.user(name, phone=number, timezone="UTC")
        await consent(bench, name)
        wanted = {"channel_selection": "specified", "channels": ["sms"]}
        await bench.caller.notify(
            user_id=name, category=category, data={"body": body}, optimization=wanted, **fields
        )


def soon() -> str:
    """An expiry before the next day, at whatever hour the test runs."""
    return (datetime.now(UTC) + timedelta(seconds=5)).isoformat()


async def consent(bench: Bench, name: str) -> None:
    said = {
        "user_id": name,
        "channel": "sms",
        "category": "marketing",
        "consented": True,
        "source": "form",
        "wording": "yes",
    }
    answer = await bench.caller.call("POST /compliance/consent", said)
    assert answer.status < 300, answer.body


def germans(count: int) -> list[str]:
    return [f"+491512345{n:04d}" for n in range(count)]


async def allow_marketing_now(bench: Bench) -> None:
    """Quiet hours, and those of good manners, are another test's matter. These numbers are of countries without law."""
    await bench.query(
        """UPDATE tenant_settings SET quiet_hours = NULL, compliance = '{"default_windows": false}',
                  config_version = config_version + 1 WHERE tenant_id = $1""",
        bench.caller.tenant_id,
    )
    bench.worker.region.configs.forget(bench.caller.tenant_id)
    # The API of the test runs in this process, with a cache of its own.
    await put_sms(bench.caller)


async def costs(bench: Bench) -> Counter[float]:
    rows = await bench.query(
        "SELECT provider_cost FROM notifications WHERE tenant_id = $1", bench.caller.tenant_id
    )
    return Counter(float(row["provider_cost"] or 0) for row in rows)


async def test_each_message_costs_what_its_country_and_its_length_do(bench: Bench):
    await text(bench, "+4915123456789", "+33612345678")
    await text(bench, "+4915123456780", body="x" * 161)
    await bench.handle()
    assert await costs(bench) == {0.05: 1, 0.1: 2}


async def test_what_was_spent_is_reported_within_a_flush(bench: Bench):
    await text(bench, *germans(3))
    await bench.handle()
    await write_costs(bench.worker)
    report = (await bench.caller.call("GET /analytics/cost?group_by=channel")).json()
    assert (report["total_sent"], report["total_cost"], report["cost_per_message"]) == (3, 0.15, 0.05)
    assert report["by_channel"] == {"sms": {"sent": 3, "cost": 0.15, "cpm": 50}}
    assert report["by_provider"] == {}
    live = await bench.worker.region.valkey.read.execute_command(
        "KEYS", b"cost_tracking:{%s}:*" % bench.caller.tenant_id.hex().encode()
    )
    field = b"sandbox-sms|sms|transactional|DE|live|micros"
    shown = await bench.worker.region.valkey.read.execute_command("HGET", live[0], field)
    assert shown == b"150000"


async def test_marketing_stops_at_the_limit_and_codes_go_on(bench: Bench):
    await allow_marketing_now(bench)
    await text(bench, *germans(8), category="marketing")
    await put_budgets(bench, {"name": "all", "limit": 5 * PRICE})
    await bench.handle()
    assert await bench.statuses() == {"sent": 5, "deferred": 3}
    await text(bench, "+4915123459999", category="security")
    await bench.handle()
    assert await bench.statuses() == {"sent": 6, "deferred": 3}
    (budget,) = (await bench.caller.call("GET /analytics/budgets")).json()["budgets"]
    assert (budget["state"], budget["spent"]) == ("spent", 0.3)


async def test_a_category_with_a_cap_of_its_own_stops_at_it_whatever_its_class(bench: Bench):
    await text(bench, *germans(4), category="security", expires_at=soon())
    await put_budgets(bench, {"name": "codes", "limit": 2 * PRICE, "category": "security"})
    await bench.handle()
    # A code is worthless before the next day has money for it.
    assert await bench.statuses() == {"sent": 2, "expired": 2}


async def test_what_failed_gives_its_money_back(bench: Bench):
    await allow_marketing_now(bench)
    settings = {"kind": "sandbox", "channel": "sms", "cost": {"default": PRICE}}
    failing = {**settings, "settings": {"permanent_rate": 1}}
    assert (await bench.caller.call("PUT /providers/sandbox-sms", failing)).status == 200
    await text(bench, *germans(3), category="marketing")
    await put_budgets(bench, {"name": "all", "limit": 3 * PRICE})
    await bench.handle()
    assert await bench.statuses() == {"failed": 3}
    (budget,) = (await bench.caller.call("GET /analytics/budgets")).json()["budgets"]
    assert budget["spent"] == 0


async def test_a_budget_that_is_raised_lets_the_rest_go(bench: Bench):
    await allow_marketing_now(bench)
    await text(bench, *germans(3), category="marketing")
    await put_budgets(bench, {"name": "all", "limit": PRICE})
    await bench.handle()
    await put_budgets(bench, {"name": "all", "limit": 3 * PRICE})
    await bench.query(
        "UPDATE open_deliveries SET due_at = now() WHERE tenant_id = $1", bench.caller.tenant_id
    )
    await bench.handle()
    assert await bench.statuses() == {"sent": 3}


async def test_a_lost_cache_does_not_give_the_money_out_again(bench: Bench):
    await allow_marketing_now(bench)
    await put_budgets(bench, {"name": "all", "limit": 3 * PRICE})
    await text(bench, *germans(2), category="marketing")
    await bench.handle()
    await write_costs(bench.worker)
    keys = await bench.worker.region.valkey.read.execute_command(
        "KEYS", b"budget:{%s}:*" % bench.caller.tenant_id.hex().encode()
    )
    await bench.worker.region.valkey.write.execute_command("DEL", *keys)
    await text(bench, *[f"+491512399{n:04d}" for n in range(3)], category="marketing")
    await bench.handle()
    assert await bench.statuses() == {"sent": 3, "deferred": 2}


async def test_each_alarm_is_given_once(bench: Bench):
    await text(bench, *germans(4))
    await put_budgets(bench, {"name": "all", "limit": 5 * PRICE})
    await bench.handle()
    config = bench.worker.dispatch.till.budgeted[bench.caller.tenant_id]
    before = alarms(bench.worker, "soft")
    for _ in range(2):
        await watch_budgets(bench.worker, config)
    assert alarms(bench.worker, "soft") - before == 1


def alarms(worker: Worker, state: str) -> float:
    name = f'clarion_budget_alarms_total{{state="{state}"}}'
    lines = worker.metrics.render().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


async def test_a_test_message_costs_nothing_of_a_budget(bench: Bench):
    await text(bench, *germans(1))
    await put_budgets(bench, {"name": "all", "limit": 1.0})
    await bench.query("UPDATE notifications SET is_test = true WHERE tenant_id = $1", bench.caller.tenant_id)
    await bench.handle()
    (budget,) = (await bench.caller.call("GET /analytics/budgets")).json()["budgets"]
    assert budget["spent"] == 0


async def test_a_flood_to_one_block_of_numbers_is_stopped_and_nobody_else(bench: Bench):
    await put_budgets(bench, sms_guard={"floor": 5, "factor": 2})
    await text(bench, *germans(6), "+33612345678")
    await bench.handle()
    await tell(bench)
    await text(bench, "+491512345999", "+33612345679", category="security")
    await bench.handle()
    assert await bench.statuses() == {"sent": 8, "blocked": 1}
    (row,) = await bench.query(
        "SELECT attempt_log FROM notifications WHERE tenant_id = $1 AND status = 'blocked'",
        bench.caller.tenant_id,
    )
    assert '"number_block"' in str(row["attempt_log"])


async def test_what_marketing_sends_is_no_flood(bench: Bench):
    await allow_marketing_now(bench)
    await put_budgets(bench, sms_guard={"floor": 2, "factor": 1})
    await text(bench, *germans(5), category="marketing")
    await bench.handle()
    await tell(bench)
    await text(bench, "+491512345999", category="security")
    await bench.handle()
    assert await bench.statuses() == {"sent": 6}


async def tell(bench: Bench) -> None:
    """What the worker does each second about floods."""
    blocks, now_ms = bench.worker.dispatch.till.blocks, bench.worker.clock.now_ms()
    blocks.learn(await bench.worker.region.blocks.tell(blocks.drain(), now_ms), now_ms)


async def test_what_is_over_a_quota_waits_without_an_attempt(bench: Bench):
    await paced(bench, {"per_s": 10})
    await text(bench, *germans(12))
    await bench.handle()
    assert await bench.statuses() == {"sent": 3, "queued": 9}
    rows = await bench.query(
        "SELECT DISTINCT attempts, state FROM open_deliveries WHERE tenant_id = $1", bench.caller.tenant_id
    )
    assert [tuple(row) for row in rows] == [(0, "ready")]


async def test_what_is_over_a_day_s_quota_is_written_down_with_its_rule(bench: Bench):
    await paced(bench, {"per_day": 2})
    await text(bench, *germans(3))
    await text(bench, "+4915123459999", category="security", expires_at=soon())
    await bench.handle()
    # Transactional ones of equal priority go in their order; a code that cannot wait that long has expired.
    assert await bench.statuses() == {"sent": 2, "deferred": 1, "expired": 1}
    rows = await bench.query(
        "SELECT attempt_log FROM notifications WHERE tenant_id = $1 AND status = 'deferred'",
        bench.caller.tenant_id,
    )
    assert '"quota"' in str(rows[0]["attempt_log"])


async def test_what_is_over_the_quota_of_one_account_goes_through_another(bench: Bench):
    await paced(bench, {"per_day": 2})
    await put_sms(bench.caller, "other", default=0.2)
    await bench.caller.call("PUT /routing/sms", {"policy": "ordered", "order": ["sandbox-sms", "other"]})
    await text(bench, *germans(5))

    async def again() -> Counter[str]:
        await bench.handle()
        return await bench.statuses()

    await eventually(again, lambda statuses: statuses == {"sent": 5}, within_s=10, every_s=0.2)
    rows = await bench.query(
        "SELECT provider, count(*) FROM notifications WHERE tenant_id = $1 GROUP BY 1", bench.caller.tenant_id
    )
    assert {row["provider"]: row["count"] for row in rows} == {"sandbox-sms": 2, "other": 3}


async def test_one_time_codes_go_first(bench: Bench):
    await paced(bench, {"per_day": 1})
    await text(bench, *germans(3))
    await bench.caller.user("ada", phone="+4915123459999", timezone="UTC")
    wanted = {"channel_selection": "specified", "channels": ["sms"]}
    code = await bench.caller.notify(
        category="security", priority=0, data={"body": "1234"}, optimization=wanted
    )
    await bench.handle()
    answer = (await bench.caller.call(f"GET /notifications/{code['notification_id']}")).json()
    assert answer["status"] == "sent"


async def test_a_vendor_that_throttles_is_asked_for_less_the_next_time(bench: Bench):
    body = {"kind": "sandbox", "channel": "sms", "settings": {"throttle_per_s": 5}}
    assert (await bench.caller.call("PUT /providers/sandbox-sms", body)).status == 200
    await text(bench, *germans(8))
    await bench.handle()
    assert await bench.statuses() == {"sent": 5, "retrying": 3}
    await text(bench, *[f"+491512388{n:04d}" for n in range(8)])
    await bench.handle()
    assert (await bench.statuses())["queued"] >= 5


async def paced(bench: Bench, quota: dict[str, Any]) -> None:
    body = {"kind": "sandbox", "channel": "sms", "quota": quota}
    answer = await bench.caller.call("PUT /providers/sandbox-sms", body)
    assert answer.status == 200, answer.body
