"""A tenant who is live tries something out, and nobody is told anything; and days that end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clarion.testing.http import HttpClient
from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person, at_noon, run_clarion

CAPPED = {"class": "service", "caps": {"per_day": 1}}


async def tester_of(person: Person) -> Person:
    """The same tenant with a test key."""
    made = await person.get("POST /keys", {"name": "trying", "environment": "test"})
    address = person.instance.address
    return replace(person, client=HttpClient(*address, {"authorization": f"Bearer {made['key']}"}))


async def test_a_test_key_never_reaches_a_real_provider(sender: Person, sink: SmtpSink):
    tester = await tester_of(sender)
    await sender.users(20)
    template = await sender.template()
    tests = await tester.campaign([f"user-{i}" for i in range(10)], template=template)
    lives = await sender.campaign([f"user-{i}" for i in range(10, 20)], template=template)
    assert dict(await sender.all_over(20)) == {"sent": 20}

    told = {message.recipients[0] for message in await sink.messages()}
    assert told == {f"user-{i}@example.org" for i in range(10, 20)}
    for ident, environment, provider in ((tests[0], "test", "sandbox-email"), (lives[0], "live", "smtp")):
        shown = await sender.get(f"GET /notifications/{ident}")
        assert (shown["environment"], shown["deliveries"][0]["provider"]) == (environment, provider)


async def test_a_test_key_stops_nothing_that_is_live(sender: Person):
    tester = await tester_of(sender)
    await sender.users(1)
    live, trial = [(await who.in_seconds(86_400))["notification_id"] for who in (sender, tester)]
    body = {
        "audience": "all",
        "category": "transactional",
        "data": {"subject": "Hello", "body": "Hello"},
        "send_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    broadcast = (await sender.insist("POST /broadcasts", body))["broadcast_id"]

    refused = await tester.call(f"POST /notifications/{live}/cancel")
    steered = await tester.call(f"POST /broadcasts/{broadcast}/cancel")

    assert (refused.status, steered.status) == (403, 403)
    await tester.get(f"POST /notifications/{trial}/cancel")
    assert (await sender.status(trial), await sender.status(live)) == ("cancelled", "scheduled")


async def test_a_test_takes_nothing_from_a_users_daily_places(sender: Person, sink: SmtpSink):
    tester = await tester_of(sender)
    await sender.users(1, timezone=at_noon())
    await sender.get("PUT /categories/news", CAPPED)
    tried = await tester.notify(category="news")
    assert await tester.ends(tried["notification_id"]) == "sent"
    again = await tester.notify(category="news")
    assert again["status"] in {"blocked", "deferred"}
    real = await sender.notify(category="news")
    assert await sender.ends(real["notification_id"]) == "sent"
    assert (await sink.report()).received == 1


async def test_a_broadcast_ends_where_the_tenants_day_does(person: Person):
    await person.users(20)
    done = await run_clarion(
        "tenant", "quota", person.name, "--per-day", "30", "--data", person.instance.data
    )
    assert done.code == 0, done.stderr

    async def broadcast() -> dict[str, Any]:
        body = {"audience": "all", "category": "transactional", "data": {"subject": "Hello", "body": "Hello"}}
        ident = (await person.insist("POST /broadcasts", body))["broadcast_id"]
        return await eventually(
            lambda: person.get(f"GET /broadcasts/{ident}"), lambda view: view["status"] == "completed"
        )

    async def counted() -> bool:
        return (await person.get("GET /usage"))["quota"] == 30

    await eventually(counted)
    first, second = await broadcast(), await broadcast()
    assert first["balance"]["sent"] == 20
    assert (second["balance"]["failed"], second["balance"]["refused"]) == (20, {"quota": 20})
    told = await person.get("GET /usage")
    assert (told["accepted"], told["remaining"]) == (20, 10)
