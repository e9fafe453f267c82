"""Journeys over HTTP: drawn, published, steered, looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER: dict[str, Any] = {"id": "later", "type": "delay", "duration": "2d"}


def journey(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "welcome", "trigger": {"type": "api"}, "steps": list(steps or (LATER,)), **fields}


async def draw(caller: Caller, *steps: dict[str, Any], **fields: Any) -> str:
    answer = await caller.call("POST /journeys", journey(*steps, **fields))
    assert answer.status == 201, answer.body
    return str(answer.json()["journey_id"])


async def enter(caller: Caller, journey_id: str, user_id: str = "ada", **context: Any) -> str:
    answer = await caller.call(
        f"POST /journeys/{journey_id}/trigger", {"user_id": user_id, "context": context}
    )
    assert answer.status == 201, answer.body
    return str(answer.json()["journey_instance_id"])


async def test_a_wrong_definition_is_told_with_every_place_at_once(caller: Caller):
    wrong = journey({"type": "frob"}, {"type": "delay", "duration": "soon"}, colour="red")
    answer = await caller.call("POST /journeys", wrong)

    assert answer.status == 400
    problem = answer.json()
    errors = [one for one in problem["findings"] if one["level"] == "error"]
    assert [one["path"] for one in errors] == [one["path"] for one in problem["errors"]]
    assert {"steps[0].type", "steps[1].duration", "colour"} <= {one["path"] for one in errors}
    assert all(one["message"] for one in errors)
    assert (await caller.call("GET /journeys")).json() == {"journeys": []}


async def test_warnings_do_not_keep_a_journey_from_being_published(caller: Caller):
    step = {"id": "hello", "type": "notification", "channels": ["email"], "template": "nothing"}
    answer = await caller.call("POST /journeys", journey(step))

    assert answer.status == 201
    assert [one["level"] for one in answer.json()["findings"]] == ["warning"]


async def test_steps_twenty_levels_deep_are_read(caller: Caller):
    inner: list[dict[str, Any]] = [LATER]
    for level in range(15):
        inner = [{"id": f"b{level}", "type": "branch", "conditions": [{"if": "user.x == 1", "steps": inner}]}]
    assert (await caller.call("POST /journeys", journey(*inner))).status == 201
    for _ in range(40):
        inner = [{"type": "branch", "conditions": [{"if": "user.x == 1", "steps": inner}]}]
    assert (await caller.call("POST /journeys", journey(*inner, name="deep"))).status == 400


async def test_a_name_is_taken_once(caller: Caller):
    first, second = await asyncio.gather(*(caller.call("POST /journeys", journey()) for _ in range(2)))
    assert sorted([first.status, second.status]) == [201, 409]


async def test_publishing_shows_where_runs_of_older_versions_stand(caller: Caller):
    await caller.user()
    journey_id = await draw(caller)
    await enter(caller, journey_id)

    same = await caller.call(f"PUT /journeys/{journey_id}", journey())
    assert (same.status, same.json()["version"]) == (200, 1)
    longer = journey({**LATER, "duration": "3d"})
    changed = await caller.call(f"PUT /journeys/{journey_id}?expected_version=1&note=longer", longer)

    assert (changed.status, changed.json()["version"]) == (200, 2)
    assert changed.json()["running"] == [{"version": 1, "step": "", "runs": 1}]
    assert (await caller.call(f"GET /journeys/{journey_id}")).json()["definition"] == longer
    versions = (await caller.call(f"GET /journeys/{journey_id}/versions")).json()["versions"]
    assert [(one["version"], one["is_live"], one["note"]) for one in versions] == [
        (2, True, "longer"),
        (1, False, ""),
    ]
    first = await caller.call(f"GET /journeys/{journey_id}/versions/1")
    assert first.json()["definition"] == journey()


async def test_of_two_who_publish_over_the_same_version_one_does(caller: Caller):
    journey_id = await draw(caller)
    answers = await asyncio.gather(
        *(
            caller.call(
                f"PUT /journeys/{journey_id}?expected_version=1", journey({**LATER, "duration": f"{n}d"})
            )
            for n in range(3, 7)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]


async def test_a_new_name_may_not_be_anothers(caller: Caller):
    await draw(caller, name="first")
    second = await draw(caller, name="second")
    answer = await caller.call(f"PUT /journeys/{second}", journey(name="first"))
    assert answer.status == 409


@pytest.mark.parametrize(
    ("word", "status", "takes"),
    [("pause", "paused", 201), ("drain", "draining", 409), ("stop", "stopped", 409)],
)
async def test_a_journey_is_steered(caller: Caller, word: str, status: str, takes: int):
    await caller.user()
    journey_id = await draw(caller)
    steered = await caller.call(f"POST /journeys/{journey_id}/{word}")
    entry = await caller.call(f"POST /journeys/{journey_id}/trigger", {"user_id": "ada"})
    resumed = await caller.call(f"POST /journeys/{journey_id}/resume")

    assert (steered.status, steered.json()["status"], entry.status) == (200, status, takes)
    assert resumed.json()["status"] == "active"
    assert await enter(caller, journey_id)


async def test_a_wrong_entry_of_a_batch_stops_no_other(caller: Caller):
    await caller.user()
    journey_id = await draw(caller)
    users: list[Any] = [{"user_id": "ada"}, None, {"user_id": "nobody"}, {"user_id": "a\0b"}]
    answer = await caller.call(f"POST /journeys/{journey_id}/trigger/batch", {"users": users})

    assert answer.status == 201, answer.body
    first, *wrong = answer.json()["results"]
    assert first["journey_instance_id"]
    assert [one["error"]["type"] for one in wrong] == ["invalid", "unknown", "invalid"]
    for none in ([], users * 251):
        refused = await caller.call(f"POST /journeys/{journey_id}/trigger/batch", {"users": none})
        assert refused.status in {400, 413}


async def test_runs_are_listed_by_user_status_and_step(caller: Caller):
    journey_id = await draw(caller)
    runs: list[str] = []
    for name in ("ada", "bob", "eve"):
        await caller.user(name, email=f"{name}@example.com")
        runs.append(await enter(caller, journey_id, name))
    path = f"GET /journeys/{journey_id}/instances"
    page = (await caller.call(f"{path}?limit=2")).json()
    rest = (await caller.call(f"{path}?limit=2&cursor={page['next_cursor']}")).json()

    assert [one["user_id"] for one in page["instances"]] == ["eve", "bob"]
    assert [one["instance_id"] for one in rest["instances"]] == runs[:1]
    assert rest["next_cursor"] is None
    bob = (await caller.call(f"{path}?user_id=bob&status=active")).json()["instances"]
    assert [one["instance_id"] for one in bob] == runs[1:2]
    for none in ("user_id=nobody", "status=exited", "step=later"):
        assert (await caller.call(f"{path}?{none}")).json()["instances"] == [], none
    assert (await caller.call(f"{path}?cursor=x")).status == 400


async def test_a_run_is_ended_by_hand(caller: Caller):
    await caller.user()
    journey_id = await draw(caller)
    run = await enter(caller, journey_id, plan="pro")

    ended = await caller.call(f"POST /journeys/{journey_id}/instances/{run}/stop")
    again = await caller.call(f"POST /journeys/{journey_id}/instances/{run}/stop")

    assert ended.status == 200, ended.body
    shown = ended.json()
    assert (shown["status"], shown["reason"], shown["due_at"]) == ("stopped", "by hand", None)
    assert [one["what"] for one in shown["timeline"]] == ["entered", "arrived", "stopped"]
    assert all(one["means"] for one in shown["timeline"])
    assert again.status == 409
    assert await enter(caller, journey_id) != run


async def test_the_numbers_of_a_journey_add_up(caller: Caller):
    await caller.user()
    journey_id = await draw(caller, LATER, {"id": "won", "type": "goal", "name": "bought"})
    run = await enter(caller, journey_id)
    await caller.call(f"POST /journeys/{journey_id}/instances/{run}/stop")

    told = (await caller.call(f"GET /analytics/journeys/{journey_id}")).json()

    assert (told["entered"], told["active"], told["ends"]["stopped"]) == (1, 0, 1)
    first, second = told["steps"]
    assert (first["step"], first["entered"], first["dropped"], first["drop_off"]) == ("later", 1, 1, 1.0)
    assert (second["step"], second["entered"]) == ("won", 0)
    assert told["goals"] == [{"name": "bought", "reached": 0, "conversion": 0.0, "mean_ms": None}]
    for wrong in ("since=2026-02-30", "since=2026-01-02&until=2026-01-01", "since=1960-01-01"):
        assert (await caller.call(f"GET /analytics/journeys/{journey_id}?{wrong}")).status == 400, wrong


async def test_a_test_credential_changes_only_tests(api: Api, caller: Caller):
    await caller.user()
    journey_id = await draw(caller)
    live = await enter(caller, journey_id)
    key = await api.key(caller.tenant_id, environment="test")
    tester = Caller(caller.tenant_id, key, api.client(key))
    path = f"/journeys/{journey_id}"

    lines = [f"POST {path}/{word}" for word in ("pause", "resume", "drain", "stop")]
    answers = [await tester.call(line) for line in [*lines, f"POST {path}/instances/{live}/stop"]]
    answers += [await tester.call("POST /journeys", journey()), await tester.call(f"PUT {path}", journey())]

    assert {answer.status for answer in answers} == {403}
    await caller.user("bob", email="bob@example.com")
    run = await enter(tester, journey_id, "bob")
    assert (await tester.call(f"POST {path}/instances/{run}/stop")).json()["is_test"]


async def test_another_tenants_journey_does_not_exist(caller: Caller, other: Caller):
    await caller.user()
    journey_id = await draw(caller)
    run = await enter(caller, journey_id)
    path = f"/journeys/{journey_id}"
    lines = [
        f"GET {path}",
        f"GET {path}/versions",
        f"GET {path}/versions/1",
        f"GET {path}/instances",
        f"GET {path}/instances/{run}",
        f"GET /analytics{path}",
        *(f"POST {path}/{word}" for word in ("pause", "resume", "drain", "stop", f"instances/{run}/stop")),
    ]
    answers = await asyncio.gather(*(other.call(line) for line in lines))
    mine = await draw(other)

    assert {answer.status for answer in answers} == {404}
    assert (await other.call(f"PUT {path}", journey())).status == 404
    assert (await other.call(f"GET /journeys/{mine}/instances/{run}")).status == 404
    assert (await caller.call(f"GET {path}")).json()["status"] == "active"


async def test_acts_stand_in_the_audit_log_and_entries_do_not(caller: Caller):
    await caller.user()
    journey_id = await draw(caller)
    await enter(caller, journey_id)
    await caller.call(f"POST /journeys/{journey_id}/pause")

    acts = (await caller.call("GET /compliance/audit")).json()["acts"]
    named = [one["operation"] for one in acts if "journey" in one["operation"]]
    assert set(named) == {"pause_journey", "create_journey"}
