"""Fallback chains over the real stores: each step a decision of its own, made exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from clarion.bootstrap import Worker
from clarion.delivery.model import Receipt
from clarion.orchestration.fall_back import fall_back
from clarion.testing.waiting import eventually
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench, packed
from tests.live.support import at_noon

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUSH_THEN_SMS = {
    "channel_selection": "specified",
    "channels": ["push"],
    "fallback": [{"channel": "sms", "after_s": 300}],
}
SAID = {"subject": "Hello", "title": "Hello", "body": "Hello Ada"}
REACHABLE = {
    "phone": "+442071838750",
    "device_tokens": [{"platform": "android", "token": "t" * 40}],
}
LEASE_MS = 30_000


@dataclass(frozen=True)
class Story:
    """One user with a push that may go on to an SMS."""

    bench: Bench
    ident: str

    async def view(self) -> dict[str, Any]:
        answer = await self.bench.caller.call(f"GET /notifications/{self.ident}")
        assert answer.status == 200, answer.body
        return answer.json()

    async def trace(self) -> dict[str, Any]:
        return (await self.bench.caller.call(f"GET /notifications/{self.ident}/trace")).json()

    async def statuses(self) -> dict[str, str]:
        return {each["channel"]: each["status"] for each in (await self.view())["deliveries"]}

    async def receive(self, channel_code: int, kind: str) -> None:
        """What the provider says of one of the deliveries."""
        now_ms = self.bench.worker.clock.now_ms()
        delivery_id = packed(self.ident)[:15] + bytes([packed(self.ident)[15] | channel_code])
        receipt = Receipt(f"r-{self.ident}-{kind}", delivery_id, kind, now_ms)
        await self.bench.worker.receipts.put("sandbox-push", [receipt])
        await self.bench.worker.receipts.project(8, now_ms)

    async def ages(self, seconds: int) -> None:
        """Let it be so many seconds later for her deliveries, and her chain be looked at."""
        await self.bench.query(
            """WITH aged AS (
                UPDATE notifications SET sent_at = sent_at - $2 * interval '1 second',
                                         ml_send_time = ml_send_time - $2 * interval '1 second'
                WHERE tenant_id = $1
            ) UPDATE fallbacks SET due_at = now() WHERE tenant_id = $1 AND due_at IS NOT NULL""",
            self.bench.caller.tenant_id,
            seconds,
        )
        await self.step()

    async def step(self) -> None:
        """What the sweeper does twice a second."""
        await fall_back(self.bench.worker.fallbacks, 1000, lease_ms=LEASE_MS)

    async def comes_to(self, **statuses: str) -> None:
        """Step until her deliveries stand so. Sweepers of other tests may be about her chain at this moment."""

        async def stands() -> bool:
            await self.step()
            return await self.statuses() == statuses

        assert await eventually(stands), await self.statuses()


PUSH_CODE = 2


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


def at_midnight() -> str:
    """A time zone in which it is the middle of the night."""
    ahead = -datetime.now(UTC).hour
    return f"Etc/GMT{-(ahead if ahead >= -12 else ahead + 24):+d}"


async def begin(bench: Bench, optimization: dict[str, Any] = PUSH_THEN_SMS, **fields: Any) -> Story:
    await bench.caller.user("ada", timezone=at_noon(), **REACHABLE)
    accepted = await bench.caller.notify(data=SAID, optimization=optimization, **fields)
    return Story(bench, accepted["notification_id"])


async def test_after_its_time_without_a_delivery_the_next_channel_is_taken(bench: Bench):
    story = await begin(bench)
    await bench.handle()
    await story.ages(290)
    assert await story.statuses() == {"push": "sent"}

    await story.ages(11)
    await story.comes_to(push="sent", sms="queued")
    await bench.handle()

    view = await story.view()
    assert {each["channel"]: each["status"] for each in view["deliveries"]} == {"push": "sent", "sms": "sent"}
    assert view["fallback"]["state"] == "exhausted"
    assert [(step["channel"], step["state"]) for step in view["fallback"]["steps"]] == [("sms", "taken")]
    trace = await story.trace()
    assert trace["decision"]["chosen"][0]["channel"] == "push", "the decision shown is that of the accept"
    assert trace["fallback"] == view["fallback"]


async def test_a_push_that_was_delivered_needs_no_sms(bench: Bench):
    story = await begin(bench)
    await bench.handle()
    assert (await story.view())["fallback"]["state"] == "waiting"
    await story.receive(PUSH_CODE, "delivered")
    assert (await story.view())["fallback"]["state"] == "succeeded"

    await story.ages(600)
    assert await story.statuses() == {"push": "delivered"}
    assert (await story.view())["fallback"] == {
        "state": "succeeded",
        "next_at": None,
        "steps": [
            {"channel": "sms", "after_s": 300, "unless": "delivered", "state": "not_needed"}
            | {"at": None, "rules": [], "cancelled": []}
        ],
    }


async def test_where_the_push_failed_nobody_waits(bench: Bench):
    await bench.caller.call(
        "PUT /providers/sandbox-push",
        {"kind": "sandbox", "channel": "push", "settings": {"permanent_rate": 1}},
    )
    story = await begin(bench)
    await bench.handle()
    assert await story.statuses() == {"push": "failed"}

    await story.comes_to(push="failed", sms="queued")


async def test_where_a_receipt_says_that_it_failed_nobody_waits_either(bench: Bench):
    story = await begin(bench)
    await bench.handle()
    await story.receive(PUSH_CODE, "failed")
    await story.comes_to(push="failed", sms="queued")


async def test_a_user_without_a_device_gets_her_sms_at_once(bench: Bench):
    await bench.caller.user("eve", phone="+442071838751")
    accepted = await bench.caller.notify(user_id="eve", data=SAID, optimization=PUSH_THEN_SMS)
    story = Story(bench, accepted["notification_id"])
    assert accepted["status"] == "blocked"

    await story.comes_to(none="blocked", sms="queued")
    assert (await story.view())["status"] == "queued"


async def test_what_still_waits_unsent_is_cancelled_when_the_next_channel_is_taken(bench: Bench):
    story = await begin(bench)
    await story.ages(301)

    await story.comes_to(push="cancelled", sms="queued")
    await bench.handle()
    assert await story.statuses() == {"push": "cancelled", "sms": "sent"}
    (step,) = (await story.view())["fallback"]["steps"]
    assert step["cancelled"] == ["push"]


async def test_consent_is_asked_again_and_a_blocked_step_gives_way_to_the_next(bench: Bench):
    chain = [{"channel": "sms", "after_s": 300}, {"channel": "email", "after_s": 300}]
    story = await begin(bench, {**PUSH_THEN_SMS, "fallback": chain}, category="service")
    await bench.handle()
    refused = {"user_id": "ada", "channel": "sms", "category": "service", "consented": False}
    answer = await bench.caller.call("POST /compliance/consent", {**refused, "source": "test"})
    assert answer.status == 200, answer.body
    await story.ages(301)
    await story.comes_to(push="sent", sms="blocked", email="queued")
    steps = (await story.view())["fallback"]["steps"]
    assert [step["state"] for step in steps] == ["blocked", "taken"]
    assert steps[0]["rules"] == ["consent_denied"]


async def test_quiet_hours_move_a_step(bench: Bench):
    story = await begin(bench, category="service")
    await bench.handle()
    await bench.caller.user("ada", **{**REACHABLE, "timezone": at_midnight()})
    await story.ages(301)
    await story.comes_to(push="sent", sms="deferred")


async def test_nothing_is_begun_after_the_expiry(bench: Bench):
    story = await begin(bench)
    await bench.handle()
    await bench.query(
        "UPDATE notifications SET expires_at = now() WHERE tenant_id = $1", bench.caller.tenant_id
    )
    await story.ages(301)

    async def is_expired() -> bool:
        await story.step()
        return (await story.view())["fallback"]["state"] == "expired"

    assert await eventually(is_expired)
    assert await story.statuses() == {"push": "sent"}


async def test_two_sweepers_make_one_delivery(bench: Bench):
    story = await begin(bench)
    await bench.handle()
    await bench.query("UPDATE fallbacks SET due_at = now() WHERE tenant_id = $1", bench.caller.tenant_id)
    await asyncio.gather(*(story.ages(301) for _ in range(4)))
    rows = await bench.query(
        "SELECT channel FROM notifications WHERE tenant_id = $1 AND channel = 'sms'", bench.caller.tenant_id
    )
    promised = await bench.query(
        "SELECT sum(deliveries) AS n FROM accept_batches WHERE tenant_id = $1", bench.caller.tenant_id
    )
    assert len(rows) == 1
    assert promised[0]["n"] == 2, "the ledger's side of it, once"


async def test_a_sweeper_that_dies_leaves_its_chains_to_another(bench: Bench):
    story = await begin(bench)
    await bench.handle()
    await bench.query(
        "UPDATE notifications SET sent_at = sent_at - interval '301 s' WHERE tenant_id = $1",
        bench.caller.tenant_id,
    )
    await bench.query("UPDATE fallbacks SET due_at = now() WHERE tenant_id = $1", bench.caller.tenant_id)
    await bench.worker.fallbacks.store.take(1000, lease_ms=50)
    await story.comes_to(push="sent", sms="queued")


async def test_a_cancelled_notification_goes_on_to_nothing(bench: Bench):
    story = await begin(bench)
    answer = await bench.caller.call(f"POST /notifications/{story.ident}/cancel")
    assert answer.status == 200, answer.body
    await story.ages(301)
    assert await story.statuses() == {"push": "cancelled"}
    assert (await story.view())["fallback"]["state"] == "cancelled"


async def test_a_category_has_a_chain_of_its_own_which_a_request_may_do_without(bench: Bench):
    category = {
        "class": "transactional",
        "fallback": [{"channel": "sms", "after_s": 10, "unless": "engaged"}],
    }
    answer = await bench.caller.call("PUT /categories/alerts", category)
    assert answer.status == 200, answer.body
    assert answer.json()["fallback"] == category["fallback"]
    only_push = {"channel_selection": "specified", "channels": ["push"]}

    with_chain = await begin(bench, only_push, category="alerts")
    without = await begin(bench, {**only_push, "fallback": []}, category="alerts")
    assert (await with_chain.view())["fallback"]["steps"][0]["unless"] == "engaged"
    assert (await without.view())["fallback"] is None


@pytest.mark.parametrize(
    ("chain", "path"),
    [
        ([{"channel": "sms"}, {"channel": "sms"}], "optimization.fallback[1].channel"),
        ([{"channel": "fax"}], "optimization.fallback[0].channel"),
        ([{"channel": "sms", "after_s": -1}], "optimization.fallback[0].after_s"),
        ([{"channel": "sms", "after_s": 86_401}], "optimization.fallback[0].after_s"),
        ([{"channel": "sms", "unless": "read"}], "optimization.fallback[0].unless"),
        ([{"channel": "sms"}] * 4, "optimization.fallback"),
    ],
)
async def test_a_chain_that_cannot_be_is_refused_with_its_path(bench: Bench, chain: list[Any], path: str):
    await bench.caller.user("ada", **REACHABLE)
    asked = {"user_id": "ada", "category": "transactional", "data": SAID}
    answer = await bench.caller.call("POST /notifications", {**asked, "optimization": {"fallback": chain}})
    assert answer.status == 400, answer.body
    assert path in answer.body.decode()


async def test_no_tenant_sees_the_chains_of_another(bench: Bench, other: Caller):
    story = await begin(bench)
    answer = await other.call(f"GET /notifications/{story.ident}")
    assert answer.status == 404
