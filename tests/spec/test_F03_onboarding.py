"""F-03, a journey of several messages.

Read as: what a user does (an event whose properties match) begins a run of a journey, whose messages go out through a
real mail server, each once, in the order of its steps and not before their delays; whoever does something else, or a
second time while the run lasts, begins none. The delays are seconds in place of days. The specification's own text is
not in this repository.
"""

from __future__ import annotations

from datetime import datetime

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.journeys import did, draw, ends, mail, run_of
from tests.live.support import Person, at_noon

DELAY_S = 1.2
TRIGGER = {"type": "event", "event_name": "signed_up", "match": "event.plan == 'trial'"}


async def test_F03_an_event_begins_a_journey_whose_messages_go_out_in_order(sender: Person, sink: SmtpSink):
    await sender.users(2, timezone=at_noon())
    pause = {"type": "delay", "duration": f"{DELAY_S}s"}
    journey_id = await draw(
        sender, mail("greeting"), pause, mail("thanks"), mail("nudge", delay=f"{DELAY_S}s"), trigger=TRIGGER
    )
    await did(sender, "user-1", "signed_up", plan="free")
    await did(sender, "user-0", "signed_up", plan="trial")
    run = await run_of(sender, journey_id, "user-0")
    await did(sender, "user-0", "signed_up", plan="trial")

    ended = await ends(sender, journey_id, run)

    assert ended["status"] == "completed"
    written = await eventually(sink.messages, lambda messages: len(messages) == 3)
    assert [_subject(one.content) for one in written] == ["greeting", "thanks", "nudge"]
    assert (await sink.report(by_recipient=True)).by_recipient.keys() == {"user-0@example.org"}
    asked = [one["at"] for one in ended["timeline"] if one["what"] == "asked"]
    first, second, third = (datetime.fromisoformat(at).timestamp() for at in asked)
    assert second - first >= DELAY_S
    assert third - second >= DELAY_S
    others = (await sender.get(f"GET /journeys/{journey_id}/instances?user_id=user-1"))["instances"]
    assert others == []


def _subject(content: bytes) -> str:
    (line,) = [line for line in content.splitlines() if line.lower().startswith(b"subject:")]
    return line.partition(b":")[2].strip().decode()
