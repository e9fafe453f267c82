"""F-08, consent.

Read as: marketing needs a recorded grant; a refusal blocks at the accept, and also a message that was accepted before
and is still waiting; from one second after the refusal was acknowledged nothing is sent against it, however slow the
provider is; one-time codes pass. Where consent cannot be read marketing waits, and says so, and codes pass (C-02, as
far as it is consent that is away). The specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import slow
from tests.live.support import Person, at_noon

GRACE_S: Final = 1.0


async def say(person: Person, user_id: str, *, consented: bool, category: str = "marketing") -> None:
    """Record a user's word on e-mail of a category."""
    word = {"user_id": user_id, "channel": "email", "category": category, "consented": consented}
    assert await person.get("POST /compliance/consent", {**word, "source": "test"}) == {"recorded": True}


@asynccontextmanager
async def consent_out_of_reach(person: Person) -> AsyncGenerator[None]:
    """Nobody can read what users said: every read of it hangs until it is given up."""
    connection = await asyncpg.connect(person.instance.owner_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE consent_records IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


def rules_of(accepted: dict[str, Any]) -> set[str]:
    return {reason["rule"] for reason in accepted["reasons"] if reason["channel"] == "email"}


async def test_F08_marketing_needs_a_grant_and_a_refusal_blocks_at_the_accept(sender: Person, sink: SmtpSink):
    await sender.users(1, timezone=at_noon())
    untold = await sender.notify(category="marketing")
    await say(sender, "user-0", consented=True)
    granted = await sender.notify(category="marketing")
    assert await sender.ends(granted["notification_id"]) == "sent"
    await say(sender, "user-0", consented=False)
    refused = await sender.notify(category="marketing")

    assert (untold["status"], rules_of(untold)) == ("blocked", {"consent_missing"})
    assert (refused["status"], rules_of(refused)) == ("blocked", {"consent_denied"})
    assert await sender.status(refused["notification_id"]) == "blocked"
    assert (await sink.report()).received == 1


async def test_F08_a_refusal_stops_what_was_accepted_before_it(sender: Person, sink: SmtpSink):
    await sender.users(2, timezone=at_noon())
    for name in ("user-0", "user-1"):
        await say(sender, name, consented=True)
    stopped = await sender.in_seconds(2, category="marketing", user_id="user-0")
    going = await sender.in_seconds(2, category="marketing", user_id="user-1")
    assert stopped["status"] == going["status"] == "scheduled"

    await say(sender, "user-0", consented=False)

    assert await sender.ends(stopped["notification_id"]) == "blocked"
    assert await sender.ends(going["notification_id"]) == "sent"
    (attempt,) = await sender.attempts(stopped["notification_id"])
    assert attempt["rule"] == "consent_denied"
    assert list((await sink.report(by_recipient=True)).by_recipient) == ["user-1@example.org"]


async def test_F08_one_time_codes_pass_a_refusal_of_everything(sender: Person, sink: SmtpSink):
    await sender.users(1)
    await say(sender, "user-0", consented=False, category="all")

    code = await sender.notify(category="security", priority=0)

    assert await sender.ends(code["notification_id"]) == "sent"
    assert (await sink.report()).received == 1


async def test_F08_nothing_is_sent_a_second_after_a_refusal_however_slow_the_server(
    sender: Person, sink: SmtpSink
):
    """Two campaigns through twenty connections, a second and a half a message: most wait while their users say no."""
    users = await sender.users(60, timezone=at_noon())
    for name in users:
        await say(sender, name, consented=True)
    await sink.script(slow(1500))
    ids = await sender.campaign(users[:30], category="marketing")
    await sink.wait_for(1)
    ids += await sender.campaign(users[30:], category="marketing")

    await asyncio.gather(*(say(sender, name, consented=False) for name in users))
    with pytest.raises(TimeoutError):
        await sink.wait_for(60, timeout_s=GRACE_S)
    arrived = (await sink.report()).received

    ends = [await sender.ends(ident) for ident in ids]
    assert set(ends) == {"sent", "blocked"}
    assert ends.count("sent") == (await sink.report()).received == arrived


async def test_F08_where_consent_cannot_be_read_marketing_waits_and_codes_pass(
    sender: Person, sink: SmtpSink
):
    await sender.users(2, timezone=at_noon())
    await say(sender, "user-0", consented=True)
    advert = await sender.in_seconds(2, category="marketing", user_id="user-0")
    code = await sender.in_seconds(2, category="security", user_id="user-1", priority=0)

    async with consent_out_of_reach(sender):

        async def status() -> str:
            return await sender.status(advert["notification_id"])

        assert await eventually(status, "deferred".__eq__, within_s=30) == "deferred"
        assert await sender.ends(code["notification_id"]) == "sent"
        (waiting,) = await sender.attempts(advert["notification_id"])

    assert waiting["rule"] == "consent_unavailable"
    assert list((await sink.report(by_recipient=True)).by_recipient) == ["user-1@example.org"]
