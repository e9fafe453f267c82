"""How tenants' decisions learn, and what it does to their messages."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.testing.http import HttpAnswer
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

ON = {"send_time": True, "channel": True}
CAUTIOUS = {"exploration": 0.0, "holdout": {"send_time": 0.0, "channel": 0.0}, "enabled": ON}
BOLD = {"exploration": 0.5, "holdout": {"send_time": 0.5, "channel": 0.0}, "enabled": ON, "off": False}
MESSAGES = 40


async def put(caller: Caller, body: dict[str, Any]) -> HttpAnswer:
    return await caller.call("PUT /ml/settings", body)


async def decisions(caller: Caller, **fields: Any) -> list[dict[str, Any]]:
    """The decisions of a message to each of MESSAGES users who have every channel."""
    users = [
        {"user_id": f"u{i}", "email": f"u{i}@example.com", "phone": "+442079460123", "timezone": "UTC"}
        for i in range(MESSAGES)
    ]
    await caller.call("POST /users/batch", {"users": users})
    said = {"category": "service", "data": {"subject": "Hi", "body": "Hi"}, **fields}
    body = {"notifications": [{"user_id": user["user_id"], **said} for user in users]}
    answer = await caller.call("POST /notifications/batch", body)
    made: list[dict[str, Any]] = []
    for result in answer.json()["results"]:
        trace = await caller.call(f"GET /notifications/{result['notification_id']}/trace")
        made.append(trace.json()["decision"])
    return made


async def test_settings_are_as_they_were_written(api: Api, caller: Caller, other: Caller):
    before = (await other.call("GET /ml/settings")).json()
    assert (await put(caller, BOLD)).json() == BOLD
    assert (await caller.call("GET /ml/settings")).json() == BOLD
    assert (await other.call("GET /ml/settings")).json() == before
    assert (await api.tenants.load_config(caller.tenant_id)).tenant.ml.exploration == 0.5


async def test_what_is_left_out_is_as_without_a_choice(caller: Caller):
    shares = {"send_time": 0.05, "channel": 0.05}
    written = await put(caller, {"enabled": {"channel": False}})
    assert written.json() == {
        "exploration": 0.05,
        "holdout": shares,
        "enabled": {"send_time": True, "channel": False},
        "off": False,
    }


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"exploration": -0.01}, "exploration"),
        ({"exploration": 0.51}, "exploration"),
        ({"holdout": {"send_time": 2}}, "holdout.send_time"),
        ({"holdout": {"email": 0.1}}, "holdout.email"),
        ({"enabled": {"channel": "no"}}, "enabled.channel"),
        ({"explore": 0.1}, "explore"),
    ],
)
async def test_settings_that_cannot_be_are_refused_with_their_path(
    caller: Caller, body: dict[str, Any], path: str
):
    answer = await put(caller, body)
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path


async def test_who_may_only_read_changes_nothing(api: Api, caller: Caller):
    reader = api.client(await api.key(caller.tenant_id, ["ml:read"]))
    assert (await reader.request("GET /api/v1/ml/settings")).status == 200
    assert (await reader.request("PUT /api/v1/ml/settings", BOLD)).status == 403


async def test_half_of_what_may_wait_tries_something_else_and_says_with_which_odds(caller: Caller):
    await put(caller, BOLD)
    made = await decisions(caller, optimization={"send_time": "optimal"})
    tried = [decision for decision in made if decision["explored"]]
    # Seven standard errors on either side: one run in 10^11 fails by chance.
    assert 0.1 * MESSAGES < len(tried) < 0.95 * MESSAGES
    assert {decision["policy"] for decision in made} == {"epsilon-1"}
    assert all(0 < decision["propensity"] < 1 for decision in made)
    assert all(set(decision["candidates"]) == {"email", "sms"} for decision in made)
    assert all(decision["propensity"] < 0.5 for decision in tried if not is_best(decision))


def is_best(decision: dict[str, Any]) -> bool:
    """Whether what was chosen is what would have been chosen anyway."""
    chosen = decision["chosen"][0]
    return bool(chosen["score"] >= max(other["score"] for other in decision["alternatives"]))


async def test_half_of_the_users_are_held_out_and_stay_so(caller: Caller):
    await put(caller, {**BOLD, "exploration": 0.0})
    first, again = await decisions(caller), await decisions(caller)
    held = [decision["holdout"] for decision in first]
    assert held == [decision["holdout"] for decision in again]
    assert {tuple(names) for names in held} == {(), ("send_time",)}


async def test_without_chance_the_best_is_taken_each_time(caller: Caller):
    await put(caller, CAUTIOUS)
    made = await decisions(caller, optimization={"send_time": "optimal"})
    assert {(d["explored"], d["propensity"], d["policy"]) for d in made} == {(False, 1.0, "greedy-1")}
    assert all(not decision["holdout"] and not decision["candidates"] for decision in made)


async def test_a_test_key_leaves_nothing_to_chance(api: Api, caller: Caller):
    await put(caller, BOLD)
    key = await api.key(caller.tenant_id, environment="test")
    tester = Caller(caller.tenant_id, key, api.client(key))
    made = await decisions(tester, optimization={"send_time": "optimal"})
    assert not any(decision["explored"] or decision["holdout"] for decision in made)
