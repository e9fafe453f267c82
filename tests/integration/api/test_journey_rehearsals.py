"""Rehearsals over HTTP: by the account's own settings, of saved journeys and of drafts, with nobody told."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import pytest

from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEFINITION: Final[dict[str, Any]] = {
    "name": "Welcome",
    "trigger": {"type": "event", "event": "signed_up"},
    "steps": [
        {"id": "hello", "type": "email", "data": {"subject": "Hello", "body": "You"}, "category": "service"},
        {"id": "later", "type": "delay", "delay": "2 days"},
        {"id": "again", "type": "email", "template": "not_there", "category": "service"},
    ],
}
ANN: Final = {"id": "ann", "timezone": "Europe/London", "country": "GB"}
WORDS: Final[dict[str, Any]] = {"users": [ANN], "start": "2026-11-23T10:00:00Z", "days": 7}


async def test_a_saved_journey_is_rehearsed_by_the_accounts_settings(caller: Caller):
    made = (await caller.call("POST /journeys", DEFINITION)).json()

    answer = await caller.call(f"POST /journeys/{made['journey_id']}/simulate", WORDS)

    assert answer.status == HTTPStatus.OK, answer.body
    result = answer.json()["result"]
    (story,) = result["users"]
    assert [message["step"] for message in story["messages"]] == ["hello"]
    assert result["skipped"] == {"no template not_there": 1}
    assert result["statuses"] == {"completed": 1}
    assert [line["what"] for line in story["runs"][0]["timeline"]][-1] == "completed"


async def test_nothing_is_sent_and_nobody_enters(caller: Caller):
    made = (await caller.call("POST /journeys", DEFINITION)).json()

    await caller.call(f"POST /journeys/{made['journey_id']}/simulate", WORDS)

    assert (await caller.call("GET /notifications")).json()["notifications"] == []
    assert (await caller.call(f"GET /journeys/{made['journey_id']}")).json()["running"] == []


async def test_a_draft_is_rehearsed_without_being_saved(caller: Caller):
    answer = await caller.call("POST /journeys/simulate", {**WORDS, "definition": DEFINITION})

    assert answer.json()["result"]["entered"] == 1
    assert (await caller.call("GET /journeys")).json()["journeys"] == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"definition": None}, "definition"),
        ({"definition": {"name": "x", "steps": [{"type": "nonsense"}]}}, "steps[0].type"),
        ({"start": "tomorrow"}, "start"),
        ({"users": [{**ANN, "timezone": "Mars/Olympus"}]}, "users[0].timezone"),
        ({"events": [{"event": "signed_up", "at": "soon"}]}, "events[0].at"),
        ({"users": 501}, "users"),
        ({"start": "0001-01-01T00:00:00Z"}, "start"),
        ({"users": 500, "events": [{"event": "signed_up"}] * 201}, "events"),
        ({"users": 500, "habits": [{"event": "visit", "per_day": 100}]}, "habits"),
    ],
)
async def test_what_is_not_understood_is_refused_with_its_place(
    caller: Caller, changes: dict[str, Any], path: str
):
    answer = await caller.call("POST /journeys/simulate", {**WORDS, "definition": DEFINITION, **changes})

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert path in answer.body.decode()
