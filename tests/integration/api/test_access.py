"""Who may do what: keys, scopes, and tenants that do not exist for one another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clarion.entrypoints.api import examples
from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.routing import Route
from clarion.kernel.ids import format_id
from clarion.tenancy.api_keys import mint_key
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLOSED = [route for route in ROUTES if route.spec.scope is not None]
SCOPED = [route for route in CLOSED if route.spec.scope]


def line_of(route: Route, ident: str = "x") -> str:
    """A request line of a route, with `ident` for whatever its path names."""
    path = route.path
    while "{" in path:
        path = path[: path.index("{")] + ident + path[path.index("}") + 1 :]
    return f"{route.method} {path}"


@pytest.mark.parametrize("route", CLOSED, ids=lambda route: route.line)
async def test_every_route_asks_for_a_key(api: Api, route: Route):
    answer = await api.client().request(line_of(route), {})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: route.line)
async def test_every_route_asks_for_its_scope(api: Api, caller: Caller, route: Route):
    resource, _, act = (route.spec.scope or "").partition(":")
    others = [f"{resource}:{'read' if act == 'write' else 'write'}", "events:read"]
    answer = await api.client(await api.key(caller.tenant_id, others)).request(line_of(route), {})
    assert answer.status == 403
    assert route.spec.scope in answer.json()["detail"]
    mine = await api.client(await api.key(caller.tenant_id, [route.spec.scope or ""])).request(
        line_of(route), {}
    )
    assert mine.status not in {401, 403}


@pytest.mark.parametrize(
    "credential",
    ["", "Bearer", "Basic abc", "Bearer ck_live_" + "0" * 33, "Bearer nonsense", "Bearer \xff", "bearer x"],
)
async def test_what_is_no_key(api: Api, credential: str):
    answer = await api.client().request("GET /api/v1/me", headers={"authorization": credential})
    assert answer.status == 401


async def test_a_key_comes_in_either_header(api: Api, caller: Caller):
    for headers in (
        {"authorization": f"Bearer {caller.key}"},
        {"authorization": f"bearer  {caller.key}"},
        {"x-api-key": caller.key},
    ):
        answer = await api.client().request("GET /api/v1/me", headers=headers)
        assert answer.status == 200
        assert answer.json()["tenant_id"] == format_id(caller.tenant_id)


async def test_a_well_formed_key_that_is_nobodys(api: Api):
    made_up = mint_key("live", b"\x07" * 20).text
    assert (await api.client(made_up).request("GET /api/v1/me")).status == 401


async def test_a_revoked_key_ends_here_at_once(api: Api, caller: Caller):
    second = (await caller.call("POST /keys", {"name": "second"})).json()
    client = api.client(second["key"])
    assert (await client.request("GET /api/v1/me")).status == 200
    assert (await caller.call(f"DELETE /keys/{second['key_id']}")).status == 204
    assert (await client.request("GET /api/v1/me")).status == 401


async def test_a_key_gives_away_no_more_than_it_has(api: Api, caller: Caller):
    small = api.client(await api.key(caller.tenant_id, ["keys:write", "users:read"]))
    assert (await small.request("POST /api/v1/keys", {"scopes": ["*"]})).status == 403
    assert (await small.request("POST /api/v1/keys", {"scopes": ["notifications:write"]})).status == 403
    made = await small.request("POST /api/v1/keys", {"name": "smaller", "scopes": ["users:read"]})
    assert made.status == 201
    test_key = api.client(await api.key(caller.tenant_id, environment="test"))
    assert (await test_key.request("POST /api/v1/keys", {"environment": "live"})).status == 403
    inherited = await test_key.request("POST /api/v1/keys", {"name": "mine"})
    assert inherited.json()["environment"] == "test"


async def test_two_live_keys_of_a_name_and_no_third(caller: Caller):
    answers = [await caller.call("POST /keys", {"name": "shop"}) for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 409]
    listed = (await caller.call("GET /keys")).json()["keys"]
    assert {answer.json()["key_id"] for answer in answers[:2]} <= {key["key_id"] for key in listed}
    assert not any("ck_live" in str(key) for key in listed)
    assert (await caller.call("POST /keys", {"scopes": ["users:fly"]})).status == 400
    assert (await caller.call("POST /keys", {"expires_at": "2020-01-01T00:00:00Z"})).status == 400


async def test_public_routes_need_no_key(api: Api):
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/docs.js"):
        answer = await api.client().request(f"GET {path}")
        assert answer.status == 200, path
        assert answer.body


async def prepared(caller: Caller) -> dict[str, str]:
    """Everything that a tenant can have, by the name of its place in a path."""
    await caller.user()
    await caller.call("PUT /categories/mine", {"class": "service"})
    await caller.call("PUT /templates/mine", {"category": "mine", "channels": {"sms": {"body": "x"}}})
    await caller.call("PUT /providers/mine", {"kind": "sandbox", "channel": "sms"})
    await caller.call("PUT /token-issuers/mine", {**examples.TOKEN_ISSUER, "scopes": ["users:read"]})
    key = (await caller.call("POST /keys", {"name": "mine"})).json()
    wait = {"type": "wait", "event": "never", "timeout": "30d"}
    journey = (await caller.call("POST /journeys", {"name": "mine", "steps": [wait]})).json()
    run = (await caller.call("POST /journeys/mine/trigger", {"user_id": "ada"})).json()
    return {
        "journey_id": journey["journey_id"],
        "instance_id": run["journey_instance_id"],
        "version": "1",
        "user_id": "ada",
        "name": "mine",
        "experiment_id": "0198a4d2-7c00-7000-8000-000000000000",
        "notification_id": (await caller.notify())["notification_id"],
        "key_id": key["key_id"],
    }


async def test_nothing_of_one_tenant_exists_for_another(caller: Caller, other: Caller):
    names = await prepared(caller)
    bodies: dict[str, Any] = {
        "POST /api/v1/templates/{name}/preview": {},
        "POST /api/v1/templates/{name}/promote": {"version": 1},
        "POST /api/v1/templates/{name}/test": {"user_id": "ada"},
        "PATCH /api/v1/members/{member_id}": {"role": "analyst"},
        "POST /api/v1/journeys/{journey_id}/trigger": {"user_id": "ada"},
        "POST /api/v1/journeys/{journey_id}/trigger/batch": {"users": [{"user_id": "ada"}]},
        "POST /api/v1/journeys/{journey_id}/migrations": {"from_version": 1},
        "POST /api/v1/journeys/{journey_id}/simulate": {},
        "POST /api/v1/ml/models/{name}/promote": {},
    }
    queries = {"GET /api/v1/compliance/explain/{user_id}": "?channel=email&category=marketing"}
    for route in CLOSED:
        if "{" not in route.path or route.method == "PUT":
            continue
        line = route.line
        for place, name in names.items():
            line = line.replace(f"{{{place}}}", name)
        answer = await other.client.request(line + queries.get(route.line, ""), bodies.get(route.line))
        assert answer.status == 404, line
    for line in (
        "GET /users/ada",
        "GET /templates/mine",
        "GET /categories/mine",
        "GET /providers/mine",
        "GET /token-issuers/mine",
    ):
        assert (await caller.call(line)).status == 200
    shown = await caller.call(f"GET /notifications/{names['notification_id']}")
    assert shown.json()["status"] == "queued"


async def test_what_one_tenant_writes_another_does_not_see(caller: Caller, other: Caller):
    await prepared(caller)
    await other.user(email="other@example.com")
    content = {"category": "service", "channels": {"sms": {"body": "other"}}}
    assert (await other.call("PUT /templates/mine", content)).json()["version"] == 1
    await other.call("PUT /categories/mine", {"class": "marketing"})
    await other.call("PUT /providers/mine", {"kind": "sandbox", "channel": "push"})
    assert (await caller.call("GET /users/ada")).json()["email"] == "ada@example.com"
    assert (await caller.call("GET /templates/mine")).json()["channels"]["sms"]["body"] == "x"
    assert (await caller.call("GET /categories/mine")).json()["class"] == "service"
    assert (await caller.call("GET /providers/mine")).json()["channel"] == "sms"


async def test_lists_hold_ones_own(caller: Caller, other: Caller):
    await prepared(caller)
    for line, field in (("notifications", "notifications"), ("templates", "templates")):
        assert (await other.call(f"GET /{line}")).json()[field] == []
    assert (await other.call("GET /notifications?user_id=ada")).json()["notifications"] == []
    assert {p["name"] for p in (await other.call("GET /providers")).json()["providers"]} == {
        "sandbox-email",
        "sandbox-push",
        "sandbox-sms",
    }
    assert len((await other.call("GET /keys")).json()["keys"]) == 1


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("POST /notifications", notification()),
        (
            "POST /compliance/consent",
            {"channel": "email", "category": "service", "consented": True, "source": "t"},
        ),
        ("POST /personalization/context", {"context": {}}),
    ],
)
async def test_a_body_names_ones_own_users_only(
    caller: Caller, other: Caller, line: str, body: dict[str, Any]
):
    await caller.user()
    answer = await other.call(line, {**body, "user_id": "ada"})
    assert answer.status == 422
    assert answer.json()["errors"][0]["path"] == "user_id"
    assert (await other.call("GET /compliance/consent/ada")).status == 404


async def test_requests_of_many_tenants_at_once_stay_apart(api: Api):
    callers = await asyncio.gather(*(api.tenant() for _ in range(4)))
    await asyncio.gather(*(caller.user() for caller in callers))
    accepted = await asyncio.gather(
        *(caller.notify(metadata={"n": n}) for caller in callers for n in range(8))
    )
    assert len({one["notification_id"] for one in accepted}) == 32
    for caller in callers:
        listed = (await caller.call("GET /notifications?limit=100")).json()["notifications"]
        assert len(listed) == 8
