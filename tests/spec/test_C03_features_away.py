"""C-03, the store of features is away.

Read as: records that are gone, or that hang, stop and delay nothing: the message is accepted, decided as for somebody
unknown, and its decision says `ml_fallback`; when the store is back, so is what is known. The specification's own text
is not in this repository.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Final

from clarion.testing.http import HttpAnswer
from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.support import Person

OPTIMAL: Final = {"send_time": "optimal", "channel_selection": "optimal"}

SOON_S: Final = 2.0
"""Longer than cards, counts and records together wait for a Valkey that hangs, on a busy machine."""


async def send(person: Person) -> tuple[HttpAnswer, float]:
    """A message whose hour is for the model to choose, and how long its answer took, in seconds."""
    said = {"data": {"subject": "Hello", "body": "Hello"}, "optimization": OPTIMAL}
    began = time.monotonic()
    answer = await person.call("POST /notifications", {"user_id": "user-0", "category": "service", **said})
    return answer, time.monotonic() - began


async def decision_of(person: Person, answer: HttpAnswer) -> dict[str, Any]:
    """The decision in the trace of an accepted message."""
    assert answer.status == 201, answer.body
    trace = await person.get(f"GET /notifications/{answer.json()['notification_id']}/trace")
    return trace["decision"]


async def knows_again(person: Person) -> bool:
    """Whether a message is decided with all that should be known."""
    answer, _ = await send(person)
    return not (await decision_of(person, answer))["ml_fallback"]


async def test_C03_a_store_that_is_gone_delays_nothing(live: Live, person: Person):
    await person.users(1)
    before, _ = await send(person)
    with live.instance.kept_down("valkey"):
        answer, took_s = await send(person)
        expected = await person.get("GET /ml/predictions/user-0")
    assert took_s < SOON_S
    assert expected["uncertainty"]["ml_fallback"] is True
    assert expected["uncertainty"]["send_time"] == 1
    decision = await decision_of(person, answer)
    assert decision["ml_fallback"] is True
    assert decision["chosen"], decision
    assert (await decision_of(person, before))["ml_fallback"] is False
    await live.well()
    await eventually(lambda: knows_again(person))


async def test_C03_a_store_that_hangs_is_not_waited_for(live: Live, person: Person):
    await person.users(1)
    valkey = live.instance.signal("valkey", signal.SIGSTOP)
    try:
        answers = [await send(person) for _ in range(5)]
    finally:
        os.kill(valkey, signal.SIGCONT)
    assert max(took_s for _, took_s in answers) < SOON_S
    decisions = [await decision_of(person, answer) for answer, _ in answers]
    assert all(decision["ml_fallback"] for decision in decisions)
    assert all(decision["chosen"] for decision in decisions)
    await eventually(lambda: knows_again(person))
