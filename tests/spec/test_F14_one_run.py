"""F-14, triggering again.

Read as: a user who is in a journey and is triggered again, also many times at once, gets the run that she has; nothing
is sent twice; a repeat of a request under its `Idempotency-Key` gets the same run even when that has ended. The
specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.journeys import did, draw, ends, enter, mail, stands
from tests.live.support import Person, at_noon

AT_ONCE = 20


async def test_F14_who_is_in_a_journey_gets_her_present_run(sender: Person, sink: SmtpSink):
    await sender.users(1, timezone=at_noon())
    wait = {"id": "bought", "type": "wait", "event": "purchase", "timeout": "1h"}
    journey_id = await draw(sender, mail("greeting"), wait)

    at_once = await asyncio.gather(*(enter(sender, journey_id, "user-0") for _ in range(AT_ONCE)))
    (run,) = set(at_once)
    await stands(sender, journey_id, run, "bought")
    assert await enter(sender, "journey", "user-0") == run
    assert len(await eventually(sink.messages, bool)) == 1

    await did(sender, "user-0", "purchase")
    assert (await ends(sender, journey_id, run))["status"] == "completed"
    assert await enter(sender, journey_id, "user-0") != run


async def test_F14_a_repeat_under_its_key_gets_the_same_run_even_when_that_has_ended(sender: Person):
    await sender.users(1, timezone=at_noon())
    journey_id = await draw(sender, {"id": "there", "type": "goal", "name": "there"})
    line, body = f"POST /journeys/{journey_id}/trigger", {"user_id": "user-0"}

    first = await sender.call(line, body, headers={"idempotency-key": "sign-up-7"})
    assert first.status == 201
    run = first.json()["journey_instance_id"]
    assert (await ends(sender, journey_id, run))["status"] == "completed"
    again = await sender.call(line, body, headers={"idempotency-key": "sign-up-7"})
    assert (again.status, again.json()["journey_instance_id"]) == (201, run)
