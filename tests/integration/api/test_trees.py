"""Trees that serve, from the registry to a decision and its trace, and through the API that takes them back."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clarion.adapters.models.gbdt import LightGbm
from clarion.adapters.postgres.ml_models import PostgresModels
from clarion.entrypoints.training import refresh_models
from clarion.intelligence.features import empty_records
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.models.model import GrownTrees
from clarion.intelligence.models.registered import Metrics
from clarion.intelligence.models.trees import INPUTS
from clarion.kernel.local_time import DAY_MS
from clarion.testing.waiting import eventually
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMS = INPUTS.index("on_sms")
MESSAGE = {"category": "service", "data": {"subject": "Hi", "body": "Hi"}}


def grown() -> bytes:
    """Trees that found one thing: texts are answered."""
    inputs = np.random.default_rng(5).integers(0, 2, (4_000, len(INPUTS))).astype(np.float32)
    return LightGbm().grow(inputs, inputs[:, SMS] > 0, np.full(4_000, 0.2))


async def known_user(api: Api, caller: Caller) -> str:
    """A user with a mail address and a phone, of whom something is known."""
    user = await caller.user("ada", phone="+442079460123", timezone="UTC")
    region = api.gateway.region
    ids = await region.seals.find_ids(caller.tenant_id, [user])
    record = empty_records([ids[user]])
    record["sequence"] = 1
    record["as_of_ms"] = record["seen_ms"] = region.clock.now_ms()
    record["first_ms"] = record["seen_ms"] - 90 * DAY_MS
    record["sent"][:, :, 0] = record["opened"][:, :, 0] = 3
    assert await region.features.write(record) == [True]
    return user


async def decided(caller: Caller, user: str) -> tuple[str, str]:
    """The channel of a message to the user, and the model that its trace names."""
    answer = (await caller.call("POST /notifications", {"user_id": user, **MESSAGE})).json()
    trace = await caller.call(f"GET /notifications/{answer['notification_id']}/trace")
    return answer["channels"][0], trace.json()["decision"]["model"]


async def test_trees_that_serve_move_a_decision_are_named_and_go_with_their_model(api: Api, caller: Caller):
    region = api.gateway.region
    registry, now_ms = PostgresModels(region.pools), region.clock.now_ms()
    user = await known_user(api, caller)
    assert await decided(caller, user) == ("email", "eb-0")

    plain = msgspec.structs.replace(DEFAULTS, trained_ms=now_ms)
    trees = GrownTrees("gbdt-20261123", now_ms, grown(), serves=True)
    for model in (plain, msgspec.structs.replace(plain, trees=trees)):
        kept = await registry.add(caller.tenant_id, model, "eb-0", Metrics())
        await registry.promote(caller.tenant_id, kept.name, "for the test")
    await refresh_models(region)

    async def ask() -> tuple[str, str]:
        return await decided(caller, user)

    # Until they are opened the formulas answer: the first decision does not wait for them.
    await eventually(ask, lambda found: found == ("sms", "eb-2+gbdt-20261123"))

    back = await caller.call("POST /ml/models/eb-1/promote", {"reason": "no texts, please"})
    assert back.status == 200, back.body
    await refresh_models(region)
    assert await decided(caller, user) == ("email", "eb-1")
