"""What is expected of users, through the API."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import empty_records
from clarion.kernel.local_time import DAY_MS
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS = {
    "user_id",
    "optimal_send_times",
    "channel_preferences",
    "engagement_prediction",
    "churn_risk",
    "segments",
    "uncertainty",
    "weekly_budget",
}


async def know(api: Api, caller: Caller, user: str, hour: int) -> None:
    """Make a user of whom it is known that she is there at `hour`, and answers on SMS."""
    await caller.user(user)
    region = api.gateway.region
    ids = await region.seals.find_ids(caller.tenant_id, [user])
    record = empty_records([ids[user]])
    record["sequence"] = 1
    record["as_of_ms"] = record["seen_ms"] = region.clock.now_ms()
    record["first_ms"] = record["seen_ms"] - 90 * DAY_MS
    record["presence"][:, :, :, hour] = 50
    record["sent"][:, :, 2] = record["opened"][:, :, 2] = 50
    assert await region.features.write(record) == [True]


async def predict(caller: Caller, user: str) -> dict[str, Any]:
    answer = await caller.call(f"GET /ml/predictions/{user}")
    assert answer.status == 200, answer.body
    return answer.json()


async def test_a_user_of_whom_nothing_is_known(caller: Caller):
    said = await predict(caller, await caller.user("stranger"))
    assert set(said) == FIELDS
    assert set(said["optimal_send_times"]) == set(said["channel_preferences"]) == set(CHANNELS)
    assert set(said["engagement_prediction"]) == {
        "email_open_probability",
        "push_open_probability",
        "click_probability",
    }
    assert said["uncertainty"] == {
        "send_time": 1,
        "channel": 1,
        "churn": 1,
        "model": "eb-0",
        "ml_fallback": False,
    }


async def test_a_user_of_whom_much_is_known(api: Api, caller: Caller):
    await know(api, caller, "owl", 21)
    said = await predict(caller, "owl")
    assert {times[0] for times in said["optimal_send_times"].values()} == {"21:00"}
    assert max(said["channel_preferences"], key=said["channel_preferences"].get) == "sms"
    assert said["uncertainty"]["send_time"] < 0.2
    assert "active" in said["segments"]


async def test_a_batch_answers_each_in_order_and_one_who_is_not_there_stops_no_other(
    api: Api, caller: Caller
):
    await know(api, caller, "lark", 6)
    await caller.user("ada")
    answer = await caller.call("POST /ml/predictions:batch", {"user_ids": ["lark", "nobody", "ada", "lark"]})
    assert answer.status == 200, answer.body
    first, nobody, ada, again = answer.json()["results"]
    assert first["prediction"] == await predict(caller, "lark")
    assert nobody["error"]["detail"] == "there is no such user"
    assert ada["prediction"]["user_id"] == "ada"
    assert again == {**first, "index": 3}


@pytest.mark.parametrize("names", [[], ["x"] * 1001, ["x", ""], ["\x00"], [7]])
async def test_a_batch_that_cannot_be_is_refused(caller: Caller, names: list[Any]):
    assert (await caller.call("POST /ml/predictions:batch", {"user_ids": names})).status == 400


async def test_a_thousand_users_at_once(caller: Caller):
    names = [f"u{i}" for i in range(1000)]
    await caller.call("POST /users/batch", {"users": [{"user_id": name} for name in names]})
    answer = await caller.call("POST /ml/predictions:batch", {"user_ids": names})
    assert [result["prediction"]["user_id"] for result in answer.json()["results"]] == names


async def test_another_tenants_user_is_not_there(caller: Caller, other: Caller):
    await other.user("hers")
    assert (await caller.call("GET /ml/predictions/hers")).status == 404
    answer = await caller.call("POST /ml/predictions:batch", {"user_ids": ["hers"]})
    assert "prediction" not in answer.json()["results"][0]


async def test_a_record_that_cannot_be_read_as_one_is_none(api: Api, caller: Caller):
    await know(api, caller, "torn", 21)
    region = api.gateway.region
    ids = await region.seals.find_ids(caller.tenant_id, ["torn"])
    found = await region.valkey.write.execute_command("KEYS", f"features:*:{ids['torn']}")
    assert len(found) == 1
    await region.valkey.write.execute_command("SET", found[0], b"torn")
    said = await predict(caller, "torn")
    assert said["uncertainty"]["send_time"] == 1


async def test_numbers_are_numbers(api: Api, caller: Caller):
    """A record that says what cannot be is not believed, and does not become `null`."""
    await know(api, caller, "odd", 21)
    region = api.gateway.region
    ids = await region.seals.find_ids(caller.tenant_id, ["odd"])
    record = await region.features.read([ids["odd"]])
    record["sequence"] += 1
    record["presence"][:] = np.nan
    record["gap_h"] = np.inf
    assert await region.features.write(record) == [True]
    said = await predict(caller, "odd")
    assert said["uncertainty"]["ml_fallback"] is True
    assert said["churn_risk"] is not None
