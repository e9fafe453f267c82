"""Members and roles: invitations, what each may, and who must stay."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from clarion.entrypoints.api.app import ROUTES
from clarion.tenancy.model import Role
from clarion.tenancy.roles import ROLES
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def join(api: Api, caller: Caller, role: Role, email: str = "") -> tuple[str, Caller]:
    """A new member of hers: her id, and herself with her key."""
    body = {"email": email or f"{role}@example.com", "role": role}
    invited = (await caller.call("POST /members", body)).json()
    answer = await api.client().request(
        "POST /api/v1/invitations/accept", {"token": invited["invitation_token"]}
    )
    assert answer.status == 201, answer.body
    key = answer.json()["key"]
    return invited["member_id"], replace(caller, key=key, client=api.client(key))


async def test_an_invitation_makes_a_member_with_a_key_of_her_own(api: Api, caller: Caller):
    member_id, grace = await join(api, caller, "marketer", "Grace@Example.com")
    me = (await grace.call("GET /me")).json()
    assert me["member_id"] == member_id
    assert set(me["scopes"]) == ROLES["marketer"]
    (member,) = (await caller.call("GET /members")).json()["members"]
    assert (member["email"], member["status"]) == ("grace@example.com", "active")
    assert (await grace.call("PUT /categories/x", {"class": "service"})).status == 403


async def test_an_invitation_works_once_and_the_newest_only(api: Api, caller: Caller):
    body = {"email": "grace@example.com", "role": "analyst"}
    tokens = [(await caller.call("POST /members", body)).json()["invitation_token"] for _ in range(2)]
    client = api.client()
    accept = "POST /api/v1/invitations/accept"
    assert (await client.request(accept, {"token": tokens[0]})).status == 404
    answers = await asyncio.gather(*(api.client().request(accept, {"token": tokens[1]}) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 404, 404, 404]
    assert (await client.request(accept, {"token": "forged"})).status == 404
    assert (await caller.call("POST /members", body)).status == 409


async def test_what_a_member_may_follows_her_role(api: Api, caller: Caller):
    member_id, grace = await join(api, caller, "developer")
    assert (await grace.call("PUT /categories/x", {"class": "service"})).status == 200
    assert (await caller.call(f"PATCH /members/{member_id}", {"role": "auditor"})).status == 200
    assert (await grace.call("PUT /categories/x", {"class": "service"})).status == 403
    assert (await grace.call("GET /compliance/audit")).status == 200
    assert (await caller.call(f"PATCH /members/{member_id}", {"status": "suspended"})).status == 200
    assert (await grace.call("GET /me")).status == 401


async def test_a_member_who_goes_takes_her_keys_with_her(api: Api, caller: Caller):
    member_id, grace = await join(api, caller, "developer")
    second = (await grace.call("POST /keys", {"name": "laptop"})).json()
    assert (await caller.call(f"DELETE /members/{member_id}")).status == 204
    assert (await grace.call("GET /me")).status == 401
    assert (await api.client(second["key"]).request("GET /api/v1/me")).status == 401
    assert (await caller.call(f"GET /members/{member_id}")).status == 404


async def test_the_last_owner_cannot_leave(api: Api, caller: Caller):
    first, _ = await join(api, caller, "owner", "one@example.com")
    for line, body in (
        ("DELETE", None),
        ("PATCH", {"role": "admin"}),
        ("PATCH", {"status": "suspended"}),
    ):
        assert (await caller.call(f"{line} /members/{first}", body)).status == 409
    second, _ = await join(api, caller, "owner", "two@example.com")
    answers = await asyncio.gather(*(caller.call(f"DELETE /members/{one}") for one in (first, second)))
    assert sorted(answer.status for answer in answers) == [204, 409]


async def test_nobody_gives_or_takes_more_than_she_may(api: Api, caller: Caller):
    owner_id, _ = await join(api, caller, "owner", "boss@example.com")
    await join(api, caller, "owner", "boss2@example.com")
    _, admin = await join(api, caller, "admin")
    body: dict[str, Any] = {"email": "eve@example.com", "role": "owner"}
    assert (await admin.call("POST /members", body)).status == 403
    assert (await admin.call(f"PATCH /members/{owner_id}", {"role": "auditor"})).status == 403
    assert (await admin.call(f"DELETE /members/{owner_id}")).status == 403
    assert (await admin.call("POST /keys", {"role": "owner"})).status == 403
    assert (await admin.call("POST /members", {**body, "role": "admin"})).status == 201


async def test_members_of_another_tenant_are_nobodys(api: Api, caller: Caller, other: Caller):
    member_id, _ = await join(api, caller, "developer")
    assert (await other.call("GET /members")).json()["members"] == []
    for line, body in (("GET", None), ("PATCH", {"role": "admin"}), ("DELETE", None)):
        assert (await other.call(f"{line} /members/{member_id}", body)).status == 404


async def test_a_test_credential_says_nothing_about_members(api: Api, caller: Caller):
    key = await api.key(caller.tenant_id, environment="test")
    answer = await api.client(key).request("POST /api/v1/members", {"email": "a@b.c", "role": "analyst"})
    assert answer.status == 403


async def test_invitations_are_in_the_audit_log_without_their_tokens(api: Api, caller: Caller):
    await join(api, caller, "analyst", "grace@example.com")
    acts = (await caller.call("GET /compliance/audit?target=members")).json()["acts"]
    assert [act["operation"] for act in acts] == ["accept_invitation", "invite_member"]
    assert acts[1]["after"]["invitation_token"] == "set"
    assert "grace" not in str(acts)


@pytest.mark.parametrize("role", ROLES)
async def test_each_route_takes_the_roles_that_have_its_scope(api: Api, caller: Caller, role: Role):
    created = (await caller.call("POST /keys", {"role": role, "name": role})).json()
    client = api.client(created["key"])
    allowed = ROLES[role]
    for route in ROUTES:
        scope = route.spec.scope
        if not scope:
            continue
        path = route.path.replace("{", "").replace("}", "")
        answer = await client.request(f"{route.method} {path}")
        lacks = answer.status == 403 and b"lacks the scope" in answer.body
        assert lacks == (scope not in allowed and "*" not in allowed), (route.line, answer.body)
