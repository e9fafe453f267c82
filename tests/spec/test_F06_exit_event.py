"""F-06, exit conditions.

Read as: an exit event ends a run at once, wherever it stands, also during a wait of days; what it has asked for and
what has not gone out is taken back, and nothing more is sent. The specification's own text is not in this repository.
"""

from __future__ import annotations

import time

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.journeys import did, draw, ends, enter, mail, run_of, stands
from tests.live.newsletter import NEWS
from tests.live.support import Person, at_noon

AT_ONCE_S = 5.0
"""How soon a run is to end on a busy machine; without load it is 0.2 s."""


async def test_F06_an_exit_event_ends_a_run_at_once_while_it_waits(sender: Person, sink: SmtpSink):
    await sender.users(2, timezone=at_noon())
    journey_id = await draw(
        sender,
        mail("greeting"),
        {"id": "days", "type": "wait", "delay": "3d"},
        mail("nudge"),
        trigger={"type": "event", "event_name": "cart_abandoned"},
        exit_conditions=["purchase"],
    )
    for name in ("user-0", "user-1"):
        await did(sender, name, "cart_abandoned")
    leaves, stays = [await run_of(sender, journey_id, name) for name in ("user-0", "user-1")]
    for run in (leaves, stays):
        await stands(sender, journey_id, run, "days")
    began = time.monotonic()
    await did(sender, "user-0", "purchase")

    ended = await ends(sender, journey_id, leaves)
    assert time.monotonic() - began < AT_ONCE_S
    assert (ended["status"], ended["reason"]) == ("exited", "purchase")
    assert (await sender.get(f"GET /journeys/{journey_id}/instances/{stays}"))["status"] == "active"
    assert len(await eventually(sink.messages, lambda messages: len(messages) == 2)) == 2


async def test_F06_what_has_not_gone_out_is_taken_back(sender: Person, sink: SmtpSink):
    """Her message waits for the end of her quiet hours when she leaves."""
    await sender.users(1, timezone=at_noon())
    quiet = {"quiet_hours": {"start": "11:00", "end": "14:00"}}
    await sender.get("PUT /users/user-0/preferences", quiet)
    await sender.get("PUT /categories/news", {"class": "marketing"})
    await sender.get("PUT /templates/news", {"category": "news", "channels": {"email": NEWS}})
    word = {"user_id": "user-0", "channel": "email", "category": "news", "consented": True, "source": "form"}
    await sender.get("POST /compliance/consent", word)
    journey_id = await draw(
        sender,
        mail("news", optimization={"send_time": "optimal"}),
        {"id": "days", "type": "wait", "delay": "3d"},
        exit_conditions=["purchase"],
    )
    run = await enter(sender, journey_id, "user-0")
    await stands(sender, journey_id, run, "days")
    (waits,) = await sender.deliveries()
    assert waits["status"] == "ml_scheduled", waits
    await did(sender, "user-0", "purchase")

    assert (await ends(sender, journey_id, run))["reason"] == "purchase"

    async def status() -> str:
        (delivery,) = await sender.deliveries()
        return str(delivery["status"])

    assert await eventually(status, lambda one: one != "ml_scheduled") == "cancelled"
    assert not await sink.messages()
