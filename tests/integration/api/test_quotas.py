"""So many notifications a day: counted as accepted, refused with the time of the next day."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clarion.testing.http import HttpAnswer
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def limited(api: Api, caller: Caller, per_day: int | None) -> None:
    """Let the tenant have so many a day."""
    await api.tenants.put_quota(caller.tenant_id, per_day)
    api.gateway.region.configs.forget(caller.tenant_id)


async def usage(caller: Caller) -> dict[str, Any]:
    """What `GET /usage` says."""
    return (await caller.call("GET /usage")).json()


async def send(caller: Caller, number: int = 1, **fields: Any) -> HttpAnswer:
    """A batch of so many."""
    return await caller.call(
        "POST /notifications/batch", {"notifications": [notification(**fields)] * number}
    )


async def test_without_a_quota_nothing_is_counted(caller: Caller):
    await caller.user()
    await caller.notify()
    told = await usage(caller)
    assert (told["accepted"], told["quota"], told["remaining"], told["timezone"]) == (None, None, None, "UTC")
    assert told["ends_at"].endswith("T00:00:00.000Z")


async def test_the_day_ends_a_quota(api: Api, caller: Caller):
    await caller.user()
    await limited(api, caller, 5)
    assert (await send(caller, 3)).status == 201
    refused = await send(caller, 3)
    assert refused.status == 429
    assert refused.json()["type"] == "urn:clarion:problem:quota"
    assert 0 < int(refused.headers["retry-after"]) <= 25 * 3600
    assert "2 notifications left" in refused.json()["detail"]
    assert (await send(caller, 2)).status == 201
    assert (await caller.call("POST /notifications", notification())).status == 429
    told = await usage(caller)
    assert (told["accepted"], told["quota"], told["remaining"]) == (5, 5, 0)
    await limited(api, caller, None)
    assert (await send(caller)).status == 201


async def test_what_is_not_accepted_is_not_counted(api: Api, caller: Caller):
    await caller.user()
    await limited(api, caller, 10)
    await caller.call("POST /notifications", notification(user_id="nobody"))
    mixed = [notification(), notification(user_id="nobody"), {"nonsense": True}]
    assert (await caller.call("POST /notifications/batch", {"notifications": mixed})).status == 201
    headers = {"idempotency-key": "once"}
    for _ in range(3):
        await caller.call("POST /notifications", notification(), headers=headers)
    assert (await usage(caller))["accepted"] == 2


async def test_many_at_once_never_pass_the_quota_together(api: Api, caller: Caller):
    await caller.user()
    await limited(api, caller, 7)
    answers = await asyncio.gather(*(caller.call("POST /notifications", notification()) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [201] * 7 + [429] * 13
    assert (await usage(caller))["accepted"] == 7


async def test_a_quota_of_nothing_stops_sending_and_nothing_else(api: Api, caller: Caller):
    await limited(api, caller, 0)
    await caller.user()
    assert (await caller.call("POST /notifications", notification())).status == 429
    assert (await caller.call("GET /users/ada")).status == 200
