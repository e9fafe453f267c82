"""F-09, failover: when a provider dies, its messages go to another one; when a channel does not reach, to the next.

Read as: (1) of messages that a failing provider surely did not send, each goes to a provider that was not tried yet, at
once, and arrives once; what was under way when it died, and may have arrived, is doubled at most; (2) a request's chain
of channels goes on to the next one where the success that it names did not come in its time, and to no other. The
specification's own text is not in this repository.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from datetime import datetime
from typing import Any, Final

import pytest

from clarion.contracts.statuses import TERMINAL
from clarion.testing.smtp import Fault, SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person, ledger_holds

N: Final = 200
LOST_WORDS: Final = 2
"""Messages that the dying provider takes without saying so."""

AT_ONCE_S: Final = 2.0
DEAD: Final = Fault("data", text="421 4.3.2 closing down", recipient="user-1[1-9]?@*")
SPEECHLESS: Final = Fault("end", "close", recipient="user-10?@*", accepted=True, times=LOST_WORDS)


@pytest.fixture
def backup() -> Generator[SmtpSink]:
    with SmtpSink.start() as started:
        yield started


async def stand_by(person: Person, server: SmtpSink) -> None:
    """Send through `server` too, but only what no other account takes."""
    settings = server.provider_settings("Clarion <hello@example.com>")
    body = {"kind": "smtp", "channel": "email", "settings": settings, "weight": 0}
    await person.get("PUT /providers/backup", body)


async def test_F09_when_the_primary_dies_in_the_middle_nothing_is_lost_and_what_was_under_way_may_be_doubled(
    sender: Person, sink: SmtpSink, backup: SmtpSink
):
    await stand_by(sender, backup)
    users = await sender.users(N)
    before = await sender.campaign(users[: N // 2])
    await sink.wait_for(N // 4)

    await sink.script(SPEECHLESS, DEAD)
    after = await sender.campaign(users[N // 2 :])

    assert await sender.all_over(N) == {"sent": N}
    first, second = await sink.report(), await backup.report()
    # Its breaker may open before it could take the last of them without a word.
    assert N <= first.received + second.received <= N + LOST_WORDS, "only what has no verdict may be doubled"
    assert first.duplicates + second.duplicates <= LOST_WORDS
    assert await ledger_holds(sender.instance.data)
    waits = [wait for ident in before + after for wait in await failovers(sender, ident)]
    assert waits, "some met the dead provider before its breaker opened"
    assert max(waits) < AT_ONCE_S


async def failovers(person: Person, ident: str) -> list[float]:
    """The seconds from a failure to the attempt at the other provider, of a message that surely was not sent."""
    attempts = await person.attempts(ident)
    pairs = itertools.pairwise(attempts)
    moved = [(one, two) for one, two in pairs if one["rule"] == "failover"]
    assert all((one["provider"], two["provider"]) == ("smtp", "backup") for one, two in moved)
    return [(told(two) - told(one)).total_seconds() for one, two in moved]


def told(attempt: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(attempt["at"])


async def test_F09_each_provider_is_tried_once_and_then_the_schedule_goes_on(
    sender: Person, sink: SmtpSink, backup: SmtpSink
):
    await stand_by(sender, backup)
    await sender.users(1)
    for server in (sink, backup):
        await server.script(Fault("mail", text="451 4.3.2 not now", times=1))

    ident = (await sender.notify())["notification_id"]

    assert await sender.ends(ident) == "sent"
    first, second, third = await sender.attempts(ident)
    assert {first["provider"], second["provider"]} == {"smtp", "backup"}
    assert (first["rule"], second["rule"], third["outcome"]) == ("failover", "", "sent")
    assert second["next_at"] > second["at"], "all were tried: the next attempt is by schedule"


async def test_F09_what_may_have_arrived_is_parked_where_its_category_says_so(
    sender: Person, sink: SmtpSink, backup: SmtpSink
):
    await stand_by(sender, backup)
    await sender.users(1)
    await sender.get("PUT /categories/letters", {"class": "transactional", "on_ambiguity": "park"})
    await sink.script(Fault("end", "close", accepted=True))

    ident = (await sender.notify(category="letters"))["notification_id"]

    assert await sender.ends(ident) == "unknown"
    assert (await backup.report()).received == 0


SAID: Final = {"title": "Your order", "body": "Your order is there"}
PUSH_ELSE_SMS: Final = {
    "channel_selection": "specified",
    "channels": ["push"],
    "fallback": [{"channel": "sms", "after_s": 1, "unless": "delivered"}],
}
DEVICES: Final = [{"platform": "android", "token": "d" * 64}]


async def reach(person: Person, reports: str) -> str:
    """A user with a device and a number, whom a push is on its way to; its provider `reports` what comes of it."""
    body = {"kind": "sandbox", "channel": "push", "settings": {"receipts": reports}}
    await person.get("PUT /providers/sandbox-push", body)
    await person.users(1, phone="+33612345678", device_tokens=DEVICES)
    return str((await person.notify(data=SAID, optimization=PUSH_ELSE_SMS))["notification_id"])


async def chain_ends(person: Person, ident: str) -> tuple[str, dict[str, str]]:
    """The state in which a notification's chain ends, and its deliveries' statuses once they are over."""

    async def ask() -> tuple[str, dict[str, str]]:
        view = await person.get(f"GET /notifications/{ident}")
        return view["fallback"]["state"], {each["channel"]: each["status"] for each in view["deliveries"]}

    return await eventually(ask, lambda seen: seen[0] != "waiting" and set(seen[1].values()) <= TERMINAL)


async def test_F09_a_push_without_a_sign_of_delivery_is_followed_by_an_sms(person: Person):
    ident = await reach(person, "none")
    assert await chain_ends(person, ident) == ("exhausted", {"push": "sent", "sms": "sent"})
    assert await ledger_holds(person.instance.data)


async def test_F09_a_push_that_was_delivered_is_not(person: Person):
    ident = await reach(person, "delivered")
    state, statuses = await chain_ends(person, ident)
    assert (state, statuses) == ("succeeded", {"push": "delivered"})


async def test_F09_a_push_that_failed_is_followed_at_once(person: Person):
    ident = await reach(person, "failed")
    assert await chain_ends(person, ident) == ("exhausted", {"push": "failed", "sms": "sent"})
