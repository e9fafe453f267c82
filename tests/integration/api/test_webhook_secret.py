"""The secret of a tenant's webhooks: its own, replaced when it wants, and seen by nobody who only tests."""

from __future__ import annotations

import pytest

from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINE = "/webhooks/secret"


async def test_each_tenant_has_a_secret_of_its_own(caller: Caller, other: Caller):
    mine = (await caller.call(f"GET {LINE}")).json()
    assert mine == (await caller.call(f"GET {LINE}")).json()
    assert mine["secret"].startswith("whsec_")
    assert (mine["generation"], mine["replaced_at"], mine["previous_until"]) == (1, None, None)
    assert (await other.call(f"GET {LINE}")).json()["secret"] != mine["secret"]


async def test_a_replaced_secret_signs_for_another_day(caller: Caller):
    before = (await caller.call(f"GET {LINE}")).json()
    after = (await caller.call(f"POST {LINE}")).json()
    assert after["secret"] != before["secret"]
    assert after["generation"] == 2
    assert after["previous_until"] > after["replaced_at"]
    assert (await caller.call(f"GET {LINE}")).json() == after


async def test_whoever_only_tests_does_not_see_it(api: Api, caller: Caller):
    client = api.client(await api.key(caller.tenant_id, environment="test"))
    for method in ("GET", "POST"):
        answer = await client.request(f"{method} /api/v1{LINE}")
        assert answer.status == 403, answer.body
