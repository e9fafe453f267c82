"""F-05, waiting for an event.

Read as: a run that waits for an event goes on at once when its user does it (the event's properties match), and by the
time-out branch when the time is up; what others do, or what does not match, moves nobody. The specification's own text
is not in this repository.
"""

from __future__ import annotations

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.journeys import did, draw, ends, enter, mail, stands
from tests.live.support import Person, at_noon, sent_to

TIMEOUT_S = 3


async def test_F05_a_run_goes_on_with_the_event_or_by_the_time_out(sender: Person, sink: SmtpSink):
    await sender.users(3, timezone=at_noon())
    journey_id = await draw(
        sender,
        {
            "id": "bought",
            "type": "wait",
            "event": "purchase",
            "match": "event.amount > 10",
            "timeout": f"{TIMEOUT_S}s",
            "on_timeout": "nudge",
        },
        mail("thanks"),
        {"id": "over", "type": "exit"},
        mail("nudge"),
    )
    buyer, saver, idler = [await enter(sender, journey_id, f"user-{n}") for n in range(3)]
    for run in (buyer, saver, idler):
        await stands(sender, journey_id, run, "bought")
    await did(sender, "user-0", "purchase", amount=25)
    await did(sender, "user-1", "purchase", amount=5)

    for run in (buyer, saver, idler):
        await ends(sender, journey_id, run)
    written = await eventually(sink.messages, lambda messages: len(messages) == 3)
    assert sent_to(written) == {"user-0": "thanks", "user-1": "nudge", "user-2": "nudge"}


async def test_F05_an_event_between_two_steps_is_not_missed(sender: Person, sink: SmtpSink):
    """The event comes while the message before the wait is on its way: it counts."""
    await sender.users(1, timezone=at_noon())
    wait = {"id": "bought", "type": "wait", "event": "purchase", "timeout": "1h", "on_timeout": "nudge"}
    journey_id = await draw(sender, mail("greeting"), wait, mail("thanks"), {"type": "exit"}, mail("nudge"))
    run = await enter(sender, journey_id, "user-0")
    await did(sender, "user-0", "purchase")

    assert (await ends(sender, journey_id, run))["status"] == "exited"
    written = await eventually(sink.messages, lambda messages: len(messages) == 2)
    assert [one.content.count(b"Subject: thanks") for one in written] == [0, 1]
