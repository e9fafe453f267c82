"""A tenant who is live tries something out: nobody is told anything, and all else is as it will be."""

from __future__ import annotations

from dataclasses import replace

from clarion.testing.http import HttpClient
from clarion.testing.smtp import SmtpSink
from tests.live.support import Person, at_noon

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
