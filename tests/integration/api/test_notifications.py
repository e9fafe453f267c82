"""Notifications: told, read, listed, traced, cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clarion.compliance.rules import EXPLANATIONS, Rule
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_a_notification_is_accepted_and_can_be_read_back(caller: Caller):
    await caller.user()
    accepted = await caller.notify(metadata={"order": 1815}, priority=2)
    assert set(accepted) == {"notification_id", "status", "channels", "ml_predictions", "reasons"}
    assert accepted["channels"] == ["email"]
    read = await caller.call(f"GET /notifications/{accepted['notification_id']}")
    assert read.status == 200
    shown = read.json()
    assert (shown["status"], shown["user_id"], shown["priority"]) == ("queued", "ada", 2)
    assert shown["metadata"] == {"order": 1815}
    (delivery,) = shown["deliveries"]
    assert set(delivery) == {
        "delivery_id",
        "channel",
        "status",
        "provider",
        "provider_cost",
        "provider_message_id",
        "attempts",
        "created_at",
        "sent_at",
        "delivered_at",
        "engaged_at",
        "ml_send_time",
    }
    assert (delivery["channel"], delivery["status"], delivery["attempts"]) == ("email", "queued", 0)


async def test_what_was_accepted_is_queued(api: Api, caller: Caller):
    await caller.user()
    await caller.notify()
    depths = await api.gateway.region.queue.depths("email")
    assert sum(depths.queued) + sum(depths.backlog) > 0


async def test_a_schedule_waits_and_a_time_that_is_asked_for_is_kept(caller: Caller):
    await caller.user()
    at = in_days(2)
    accepted = await caller.notify(optimization={"send_time": "scheduled", "scheduled_at": at})
    assert accepted["status"] == "scheduled"
    shown = (await caller.call(f"GET /notifications/{accepted['notification_id']}")).json()
    due = datetime.fromisoformat(shown["deliveries"][0]["ml_send_time"])
    assert abs(due - datetime.fromisoformat(at)) < timedelta(seconds=1)


async def test_all_channels_make_a_delivery_each(caller: Caller):
    await caller.user(phone="+442071838750")
    accepted = await caller.notify(optimization={"channel_selection": "all"})
    assert sorted(accepted["channels"]) == ["email", "sms"]
    shown = (await caller.call(f"GET /notifications/{accepted['notification_id']}")).json()
    assert sorted(delivery["channel"] for delivery in shown["deliveries"]) == ["email", "sms"]


async def test_marketing_without_consent_is_blocked_and_says_why(caller: Caller):
    await caller.user()
    accepted = await caller.notify(category="marketing")
    assert (accepted["status"], accepted["channels"]) == ("blocked", [])
    assert ("email", "consent_missing") in [(told["channel"], told["rule"]) for told in accepted["reasons"]]
    shown = (await caller.call(f"GET /notifications/{accepted['notification_id']}")).json()
    assert [delivery["channel"] for delivery in shown["deliveries"]] == ["none"]
    trace = (await caller.call(f"GET /notifications/{accepted['notification_id']}/trace")).json()
    reasons = {reason["channel"]: reason for reason in trace["decision"]["reasons"]}
    assert reasons["email"]["explanation"] == EXPLANATIONS[Rule.CONSENT_MISSING]
    assert trace["decision"]["chosen"] == []


async def test_consent_counts_from_the_moment_it_is_recorded(caller: Caller):
    await caller.user()
    word = {"user_id": "ada", "channel": "email", "category": "marketing", "source": "form"}
    assert (await caller.notify(category="marketing"))["status"] == "blocked"
    assert (await caller.call("POST /compliance/consent", {**word, "consented": True})).status == 200
    assert (await caller.notify(category="marketing"))["channels"] == ["email"]
    assert (await caller.call("POST /compliance/consent", {**word, "consented": False})).status == 200
    assert (await caller.notify(category="marketing"))["status"] == "blocked"


async def test_a_changed_profile_counts_from_the_moment_it_is_written(caller: Caller):
    await caller.user()
    assert (await caller.notify())["channels"] == ["email"]
    assert (await caller.call("PUT /users/ada", {"phone": "+442071838750"})).status == 200
    assert (await caller.notify())["channels"] == ["sms"]


async def test_the_trace_has_the_decision_and_what_it_was_made_on(caller: Caller):
    await caller.user(country="GB")
    sent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    accepted = (await caller.call("POST /notifications", notification(), headers=sent)).json()
    trace = (await caller.call(f"GET /notifications/{accepted['notification_id']}/trace")).json()
    assert trace["traceparent"] == sent["traceparent"]
    decision = trace["decision"]
    assert [choice["channel"] for choice in decision["chosen"]] == ["email"]
    assert (decision["inputs"]["timezone"], decision["inputs"]["country"]) == ("Europe/London", "GB")
    assert decision["channel_scores"].keys() == {"email", "push", "sms"}
    (delivery,) = trace["deliveries"]
    assert (delivery["attempts"], delivery["lease"]["epoch"]) == ([], 0)


async def test_a_list_is_paged_without_gaps_and_repeats(caller: Caller):
    await caller.user(phone="+442071838750")
    ids = [
        (await caller.notify(optimization={"channel_selection": "all"}))["notification_id"] for _ in range(7)
    ]
    seen: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        page = (
            await caller.call(f"GET /notifications?user_id=ada&limit=3{cursor and '&cursor=' + cursor}")
        ).json()
        assert all(len(listed["deliveries"]) == 2 for listed in page["notifications"])
        seen += [listed["notification_id"] for listed in page["notifications"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert seen == sorted(ids, reverse=True)
    assert pages == 3


async def test_a_list_by_status_and_time(caller: Caller):
    await caller.user()
    await caller.notify()
    waiting = await caller.notify(optimization={"send_time": "scheduled", "scheduled_at": in_days(1)})
    listed = (await caller.call("GET /notifications?status=scheduled")).json()["notifications"]
    assert [one["notification_id"] for one in listed] == [waiting["notification_id"]]
    future = in_days(1).replace("+00:00", "Z")
    assert (await caller.call(f"GET /notifications?since={future}")).json()["notifications"] == []


async def test_a_cancelled_delivery_is_never_sent(api: Api, caller: Caller):
    await caller.user(phone="+442071838750")
    accepted = await caller.notify(optimization={"channel_selection": "all"})
    line = f"POST /notifications/{accepted['notification_id']}/cancel"
    answer = await caller.call(line)
    assert answer.status == 200
    assert sorted(one["channel"] for one in answer.json()["cancelled"]) == ["email", "sms"]
    assert answer.json()["left"] == []
    async with api.gateway.region.pools.pipeline() as connection:
        query = "SELECT count(*) FROM open_deliveries WHERE tenant_id = $1"
        assert await connection.fetchval(query, caller.tenant_id) == 0
    again = await caller.call(line)
    assert again.status == 409
    assert "cancelled" in again.json()["detail"]


async def test_what_is_being_sent_is_left(api: Api, caller: Caller):
    await caller.user(phone="+442071838750")
    accepted = await caller.notify(optimization={"channel_selection": "all"})
    async with api.gateway.region.pools.pipeline() as connection:
        query = "UPDATE open_deliveries SET state = 'sending' WHERE tenant_id = $1 AND channel = 'sms'"
        await connection.execute(query, caller.tenant_id)
    answer = await caller.call(f"POST /notifications/{accepted['notification_id']}/cancel")
    assert [one["channel"] for one in answer.json()["cancelled"]] == ["email"]
    assert [(one["channel"], one["status"]) for one in answer.json()["left"]] == [("sms", "sending")]


async def test_attempts_are_traced_in_order(api: Api, caller: Caller):
    await caller.user()
    accepted = await caller.notify()
    log = (
        b'[{"n":1,"at_ms":1700000000000,"outcome":"transient","provider":"mail","code":"451","next_at_ms":1700000060000},'
        b'{"n":2,"at_ms":1700000060000,"outcome":"deferred","rule":"quiet_hours"}]'
    )
    async with api.gateway.region.pools.pipeline() as connection:
        query = "UPDATE notifications SET attempt_log = $2, provider_cost = 0.000750 WHERE tenant_id = $1"
        await connection.execute(query, caller.tenant_id, log)
    trace = (await caller.call(f"GET /notifications/{accepted['notification_id']}/trace")).json()
    first, second = trace["deliveries"][0]["attempts"]
    assert (first["outcome"], first["code"], first["at"]) == ("transient", "451", "2023-11-14T22:13:20.000Z")
    assert first["next_at"] == "2023-11-14T22:14:20.000Z"
    assert second["explanation"] == EXPLANATIONS[Rule.QUIET_HOURS]
    shown = await caller.call(f"GET /notifications/{accepted['notification_id']}")
    assert b'"provider_cost":0.00075,' in shown.body


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_batch_is_answered_in_order(caller: Caller, size: int):
    await caller.user()
    items: list[Any] = [notification(metadata={"n": n}) for n in range(size)]
    answer = await caller.call("POST /notifications/batch", {"notifications": items})
    assert answer.status == 201
    for n, result in enumerate(answer.json()["results"]):
        if n % 10 == 0:
            shown = (await caller.call(f"GET /notifications/{result['notification_id']}")).json()
            assert shown["metadata"] == {"n": n}
