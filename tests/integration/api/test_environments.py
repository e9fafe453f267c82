"""What a test credential sends: recorded as such, and the same in everything else."""

from __future__ import annotations

import pytest

from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_notification_says_in_which_environment_it_was_made(api: Api, caller: Caller):
    await caller.user()
    test = api.client(await api.key(caller.tenant_id, environment="test"))
    live_id = (await caller.notify())["notification_id"]
    test_id = (await test.request("POST /api/v1/notifications", notification())).json()["notification_id"]
    for ident, environment in ((live_id, "live"), (test_id, "test")):
        assert (await caller.call(f"GET /notifications/{ident}")).json()["environment"] == environment
        [listed] = (await caller.call(f"GET /notifications?environment={environment}")).json()[
            "notifications"
        ]
        assert (listed["notification_id"], listed["environment"]) == (ident, environment)
    assert len((await caller.call("GET /notifications")).json()["notifications"]) == 2
    assert (await caller.call("GET /notifications?environment=staging")).status == 400


async def test_a_batch_of_a_test_key_is_a_test_in_every_row(api: Api, caller: Caller):
    await caller.user()
    test = api.client(await api.key(caller.tenant_id, environment="test"))
    answer = await test.request("POST /api/v1/notifications/batch", {"notifications": [notification()] * 3})
    assert answer.status == 201
    listed = (await caller.call("GET /notifications")).json()["notifications"]
    assert [one["environment"] for one in listed] == ["test"] * 3


async def test_the_same_idempotency_key_in_both_environments_is_two_requests(api: Api, caller: Caller):
    await caller.user()
    test = api.client(await api.key(caller.tenant_id, environment="test"))
    headers = {"idempotency-key": "order-1815"}
    live = await caller.call("POST /notifications", notification(), headers=headers)
    tried = await test.request("POST /api/v1/notifications", notification(), headers=headers)
    assert (live.status, tried.status) == (201, 201)
    assert live.json()["notification_id"] != tried.json()["notification_id"]
    assert "idempotent-replayed" not in tried.headers
