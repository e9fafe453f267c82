"""Experiments of a tenant: started, in force, measured, stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clarion.entrypoints.proving import measure_experiments
from clarion.intelligence.serving.assignment import assign
from clarion.kernel.ids import parse_id
from clarion.kernel.local_time import DAY_MS
from clarion.tenancy.model import Arm, Experiment
from tests.integration.api.support import Api, Caller
from tests.integration.api.test_ml_settings import decisions

pytestmark = pytest.mark.asyncio(loop_scope="session")

ARMS: list[dict[str, Any]] = [{"name": "as_now"}, {"name": "bold", "exploration": 0.5}]
USERS = 4_000
_SEND = """
INSERT INTO notifications (global_id, created_at, notification_id, tenant_id, user_id, category, channel, priority,
    status, template, template_version, payload, personalization, metadata, decision, journey_id, traceparent,
    ml_channel_score, sent_at, engaged_at, is_test)
SELECT gen_random_uuid(), now(), gen_random_uuid(), $1, u, 'news', 'email', 5, 'sent', '', 1, '{}', '{}',
    '{}', jsonb_build_object('category_class', 'marketing', 'decision', jsonb_build_object('holdout', 0)),
    '', '', 0, now(), CASE WHEN answers THEN now() + interval '1 minute' END, false
FROM unnest($2::bigint[], $3::boolean[]) AS t (u, answers)
"""


async def start(caller: Caller, arms: list[dict[str, Any]] = ARMS, **fields: Any) -> dict[str, Any]:
    answer = await caller.call("POST /ml/experiments", {"name": "boldness", "arms": arms, **fields})
    assert answer.status == 201, answer.body
    return answer.json()


async def test_an_arm_is_in_force_for_its_users_until_the_experiment_stops(caller: Caller):
    started = await start(caller, [{"name": "as_now"}, {"name": "bold", "exploration": 0.5}])
    assert (started["stopped_at"], started["result"]) == (None, None)
    made = await decisions(caller, optimization={"send_time": "optimal"})
    # The tenant's own settings try nothing: only those who are in the other arm may have tried something.
    bold = [decision for decision in made if decision["policy"] == "epsilon-1"]
    assert 0.1 * len(made) < len(bold) < 0.9 * len(made)

    stopped = await caller.call(f"POST /ml/experiments/{started['experiment_id']}/stop")
    assert stopped.json()["stopped_at"] is not None
    again = await caller.call(f"POST /ml/experiments/{started['experiment_id']}/stop")
    assert again.json()["stopped_at"] == stopped.json()["stopped_at"]
    made = await decisions(caller, optimization={"send_time": "optimal"})
    assert {decision["policy"] for decision in made} == {"greedy-1"}


async def test_one_runs_at_a_time_and_is_its_tenants_alone(caller: Caller, other: Caller):
    started = await start(caller)
    second = await caller.call("POST /ml/experiments", {"name": "more", "arms": ARMS})
    assert second.status == 409
    assert (await other.call("GET /ml/experiments")).json() == {"experiments": []}
    path = f"/ml/experiments/{started['experiment_id']}"
    assert (await other.call(f"GET {path}")).status == 404
    assert (await other.call(f"POST {path}/stop")).status == 404
    assert (await caller.call(f"GET {path}")).json() == started
    assert (await caller.call("GET /ml/experiments")).json() == {"experiments": [started]}
    await start(other)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"arms": ARMS[:1]}, "arms"),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "arms"),
        ({"arms": [{"name": "A b"}, {"name": "c"}]}, "arms[0].name"),
        ({"arms": [{"name": "a", "share": 0}, {"name": "c"}]}, "arms[0].share"),
        ({"arms": [{"name": "a", "exploration": 0.6}, {"name": "c"}]}, "arms[0].exploration"),
        ({"arms": [{"name": "a", "without": ["patience"]}, {"name": "c"}]}, "arms[0].without[0]"),
        ({"least_effect": 0}, "least_effect"),
        ({"name": ""}, "name"),
    ],
)
async def test_what_is_no_experiment_is_refused_with_its_path(
    caller: Caller, fields: dict[str, Any], path: str
):
    answer = await caller.call("POST /ml/experiments", {"name": "x", "arms": ARMS, **fields})
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path
    assert (await caller.call("GET /ml/experiments")).json() == {"experiments": []}


async def test_who_may_only_read_starts_and_stops_none_and_acts_are_written_down(api: Api, caller: Caller):
    started = await start(caller)
    line = f"/api/v1/ml/experiments/{started['experiment_id']}"
    reader = api.client(await api.key(caller.tenant_id, ["ml:read"]))
    assert (await reader.request(f"GET {line}")).status == 200
    assert (await reader.request(f"POST {line}/stop")).status == 403
    assert (await reader.request("POST /api/v1/ml/experiments", {"name": "x", "arms": ARMS})).status == 403
    acts = (await caller.call("GET /compliance/audit?operation=start_experiment")).json()
    assert [act["outcome"] for act in acts["acts"]] == ["done"]


async def test_what_is_planted_in_an_arm_is_measured(api: Api, caller: Caller):
    started = await start(caller, least_effect=0.05)
    experiment_id = parse_id(started["experiment_id"])
    assert experiment_id is not None
    users = [9_000_000 + nth for nth in range(USERS)]
    arms = assign(Experiment(experiment_id, (Arm("as_now"), Arm("bold"))), np.array(users))
    answers = [nth % 100 < (30 if arm else 20) for nth, arm in enumerate(arms.tolist())]
    region = api.gateway.region
    async with region.pools.pipeline() as connection:
        await connection.execute("SELECT ensure_partitions(7)")
        await connection.execute(_SEND, caller.tenant_id, users, answers)
    soon_ms = region.clock.now_ms()
    (early,) = await measure_experiments(region, caller.tenant_id, soon_ms)
    assert [arm.users for arm in early.arms] == [0, 0], "their answers are not in yet"

    await measure_experiments(region, caller.tenant_id, soon_ms + 7 * DAY_MS)
    shown = (await caller.call(f"GET /ml/experiments/{started['experiment_id']}")).json()
    control, bold = shown["result"]["arms"]
    assert (control["name"], control["verdict"], control["users"] + bold["users"]) == (
        "as_now",
        None,
        USERS,
    )
    assert bold["verdict"] == "better"
    assert bold["low"] < 0.1 < bold["high"]
    assert shown["result"]["ratio_p"] > 1e-6
