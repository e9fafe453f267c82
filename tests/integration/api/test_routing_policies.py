"""How accounts are chosen, through the API: what is set comes back, and what cannot be followed is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEFAULT: dict[str, Any] = {"channel": "sms", "policy": "balanced", "order": [], "split": {}, "pins": []}


async def accounts(caller: Caller, *names: str) -> None:
    for name in names:
        answer = await caller.call(f"PUT /providers/{name}", {"kind": "sandbox", "channel": "sms"})
        assert answer.status == 200, answer.body


async def test_a_policy_comes_back_as_it_was_given_and_stands_with_the_tenants_configuration(
    api: Api, caller: Caller, other: Caller
):
    await accounts(caller, "a", "b")
    assert (await caller.call("GET /routing/sms")).json() == DEFAULT
    pin = {"provider": "a", "category": "security", "destination": "DE", "only": True}
    policies: list[dict[str, Any]] = [
        {"policy": "ordered", "order": ["b", "a"]},
        {"policy": "split", "split": {"a": 5.0, "b": 95.0}},
        {"policy": "cost_optimized", "pins": [pin]},
    ]
    for policy in policies:
        answer = await caller.call("PUT /routing/sms", policy)
        assert answer.status == 200, answer.body
        assert answer.json() == (await caller.call("GET /routing/sms")).json() == {**DEFAULT, **policy}
    loaded = await api.tenants.load_config(caller.tenant_id)
    assert loaded.routing["sms"].pins[0].provider == "a"
    assert set(loaded.routing) == {"sms"}
    assert (await other.call("GET /routing/sms")).json() == DEFAULT


@pytest.mark.parametrize(
    ("policy", "status", "path"),
    [
        ({"policy": "dearest"}, 400, "policy"),
        ({"policy": "ordered"}, 400, "order"),
        ({"policy": "ordered", "order": ["a", "a"]}, 400, "order"),
        ({"policy": "balanced", "order": ["a"]}, 400, "order"),
        ({"policy": "balanced", "split": {"a": 1}}, 400, "split"),
        ({"policy": "split", "split": {"a": 0}}, 400, "split"),
        ({"policy": "split", "split": {"a": -1}}, 400, "split"),
        ({"pins": [{"provider": "a"}]}, 400, "pins[0]"),
        ({"pins": [{"provider": "a", "destination": "Germany!"}]}, 400, "pins[0].destination"),
        ({"policy": "ordered", "order": ["a", "gone"]}, 422, "order[1]"),
        ({"policy": "split", "split": {"sandbox-email": 1}}, 422, "split.sandbox-email"),
        ({"pins": [{"provider": "gone", "destination": "DE"}]}, 422, "pins[0].provider"),
        ({"pins": [{"provider": "a", "category": "gone"}]}, 422, "pins[0].category"),
        ({"weights": {}}, 400, "weights"),
    ],
)
async def test_what_cannot_be_followed_is_refused_with_its_place(
    caller: Caller, policy: dict[str, Any], status: int, path: str
):
    await accounts(caller, "a")
    answer = await caller.call("PUT /routing/sms", policy)
    assert answer.status == status, answer.body
    assert path in answer.body.decode()
    assert (await caller.call("GET /routing/sms")).json() == DEFAULT


async def test_there_are_as_many_policies_as_channels(api: Api, caller: Caller):
    assert (await caller.call("GET /routing/pigeon")).status == 404
    assert (await caller.call("PUT /routing/pigeon", {})).status == 404
    reader = api.client(await api.key(caller.tenant_id, ["providers:read"]))
    assert (await reader.request("GET /api/v1/routing/sms")).status == 200
    assert (await reader.request("PUT /api/v1/routing/sms", {})).status == 403
