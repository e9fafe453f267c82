"""F-04, branches by condition.

Read as: a branch sends each run along the first way whose condition holds, over what is known of the user, of the
trigger and of earlier steps, and along `else` where none does. A name that is not set makes no condition fail: `!name`
is true, every comparison with it is false, and the timeline says so. Each spelling of `else` means the same. The
specification's own text is not in this repository.
"""

from __future__ import annotations

from typing import Any

import pytest

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.journeys import draw, ends, enter, mail
from tests.live.support import Person, at_noon, sent_to

ELSE: dict[str, list[Any]] = {
    "a name": [{"else": "nudge"}],
    "a flag": [{"else": True, "goto": "nudge"}],
    "a step": [{"else": {"goto": "nudge"}}],
}


@pytest.mark.parametrize("spelling", ELSE)
async def test_F04_a_run_takes_the_way_whose_condition_holds(sender: Person, sink: SmtpSink, spelling: str):
    await sender.users(1, timezone=at_noon(), attributes={"plan": "pro"})
    await sender.get(
        "PUT /users/other",
        {"email": "other@example.org", "timezone": at_noon(), "attributes": {"plan": "free"}},
    )
    ways = [{"if": "user.plan == 'pro' && context.seats > 5", "goto": "thanks"}, *ELSE[spelling]]
    journey_id = await draw(
        sender,
        {"id": "which", "type": "branch", "conditions": ways},
        mail("thanks"),
        {"type": "exit"},
        mail("nudge"),
    )
    large = await enter(sender, journey_id, "user-0", seats=9)
    small = await enter(sender, journey_id, "other", seats=9)

    shown = [await ends(sender, journey_id, run) for run in (large, small)]

    written = await eventually(sink.messages, lambda messages: len(messages) == 2)
    assert sent_to(written) == {"user-0": "thanks", "other": "nudge"}
    for one in shown:
        assert "chose" in {entry["what"] for entry in one["timeline"]}


async def test_F04_a_name_that_is_not_set_makes_no_comparison_true(sender: Person, sink: SmtpSink):
    await sender.users(2, timezone=at_noon())
    ways = [
        {"if": "context.seats > 5", "goto": "thanks"},
        {"if": "!onboarded", "goto": "greeting"},
        {"else": "nudge"},
    ]
    journey_id = await draw(
        sender,
        {"id": "which", "type": "branch", "conditions": ways},
        mail("thanks"),
        {"type": "exit"},
        mail("greeting"),
        {"type": "exit"},
        mail("nudge"),
    )
    unset = await enter(sender, journey_id, "user-0")
    known = await enter(sender, journey_id, "user-1", onboarded=True)

    shown = [await ends(sender, journey_id, run) for run in (unset, known)]

    written = await eventually(sink.messages, lambda messages: len(messages) == 2)
    assert sent_to(written) == {"user-0": "greeting", "user-1": "nudge"}
    noted = [entry["detail"] for entry in shown[0]["timeline"] if entry["what"] == "unset"]
    assert any("seats" in detail for detail in noted)
