"""What real mail servers do to senders: not now, never, no answer, and no word after the last byte."""

from __future__ import annotations

import pytest

from clarion.testing.smtp import Fault, SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person

pytestmark = pytest.mark.chaos


async def test_not_now_is_tried_again(sender: Person, sink: SmtpSink):
    await sender.users(1)
    await sink.script(Fault("rcpt", text="450 4.2.1 Mailbox busy", times=1))

    ident = (await sender.notify())["notification_id"]

    assert await sender.ends(ident) == "sent"
    first, second = await sender.attempts(ident)
    assert (first["outcome"], second["outcome"]) == ("transient", "sent")
    assert first["next_at"]
    assert (await sink.report()).received == 1


async def test_never_is_taken_at_its_word(sender: Person, sink: SmtpSink):
    await sender.users(2)
    await sink.script(Fault("rcpt", text="550 5.1.1 No such user", recipient="user-0@*"))

    refused, taken = await sender.campaign(["user-0", "user-1"])

    assert await sender.ends(refused) == "failed"
    assert await sender.ends(taken) == "sent"
    # One attempt; and the note that her address is dead, which silences it.
    attempt, note = await eventually(lambda: sender.attempts(refused), lambda log: len(log) > 1)
    assert (attempt["outcome"], attempt["rule"]) == ("permanent", "permanent")
    assert (note["outcome"], note["n"]) == ("bounced", attempt["n"])


async def test_a_server_that_hangs_keeps_nobody(person: Person, sink: SmtpSink):
    """One addressee's server says no more: her neighbours' messages are sent and recorded as such, and hers again."""
    users = await person.users(10)
    await person.mail_through(sink, timeout_s=1.5)
    await sink.script(Fault("rcpt", "hang", recipient="user-3@*", times=1))

    ids = await person.campaign(users)

    statuses = [await person.ends(ident) for ident in ids]
    assert statuses == ["sent"] * 10
    attempts = [[attempt["outcome"] for attempt in await person.attempts(ident)] for ident in ids]
    assert attempts == [["transient", "sent"] if name == "user-3" else ["sent"] for name in users]
    report = await sink.report()
    assert (report.distinct, report.duplicates) == (10, 0)


async def test_a_lease_shorter_than_the_servers_patience_costs_no_outcome(sender: Person, sink: SmtpSink):
    """The call is ended before the lease is: what had been answered by then is recorded, and not sent again."""
    users = await sender.users(10)
    await sink.script(Fault("rcpt", "hang", recipient="user-3@*", times=1))

    ids = await sender.campaign(users)

    assert [await sender.ends(ident) for ident in ids] == ["sent"] * 10
    report = await sink.report()
    assert (report.distinct, report.duplicates) == (10, 0)


@pytest.mark.parametrize(("policy", "status", "copies"), [("retry", "sent", 2), ("park", "unknown", 1)])
async def test_a_connection_cut_after_the_last_byte(
    sender: Person, sink: SmtpSink, policy: str, status: str, copies: int
):
    """Nobody can know whether the message was taken. The category decides which mistake to risk."""
    await sender.users(1)
    await sender.get("PUT /categories/letters", {"class": "transactional", "on_ambiguity": policy})
    await sink.script(Fault("end", "close", accepted=True, times=1))

    ident = (await sender.notify(category="letters"))["notification_id"]

    assert await sender.ends(ident) == status
    attempts = await sender.attempts(ident)
    assert attempts[0]["outcome"] == "ambiguous"
    assert (await sink.report()).received == len(attempts) == copies
