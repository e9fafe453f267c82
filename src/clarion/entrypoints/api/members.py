"""The people of a tenant: who acts for it, and with which role."""

from __future__ import annotations

import os
import secrets
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from clarion.compliance.audit import Act, recorded
from clarion.entrypoints.api.auditing import tell_lost
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Conflict, NotFound, Refused
from clarion.orchestration.rows import format_time
from clarion.tenancy.api_keys import EVERYTHING, KEY_BYTES, MintedKey, mint_key
from clarion.tenancy.members import (
    TOKEN_BYTES,
    Email,
    Member,
    clean_email,
    hash_token,
)
from clarion.tenancy.model import TEST, Role
from clarion.tenancy.ports import StoredKey
from clarion.tenancy.roles import ROLES, covers

_EXAMPLE: Final = {"email": "grace@example.com", "role": "marketer"}


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/members`: who is asked in, and as what."""

    email: Email
    role: Role


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/v1/members/{member_id}`: what is not said stays. Who is `suspended` may do nothing."""

    role: Role | None = None
    status: Literal["active", "suspended"] | None = None


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/invitations/accept`: the token of the invitation."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class TenantMember(msgspec.Struct, frozen=True):
    """A member. `invited_until`: how long her invitation is good; null: she has accepted it."""

    member_id: str
    email: str
    role: Role
    status: Literal["invited", "active", "suspended"]
    created_at: str
    invited_until: str | None


class MemberInvited(msgspec.Struct, frozen=True):
    """A new invitation. `invitation_token` is shown here and never again: give it to her, and to nobody else."""

    member_id: str
    email: str
    role: Role
    invitation_token: str
    invited_until: str | None


class TenantMembers(msgspec.Struct, frozen=True):
    """All members, by e-mail."""

    members: list[TenantMember]


class MemberJoined(msgspec.Struct, frozen=True):
    """A member from now on. `key` is her own API key, shown here and never again: it may what her role may."""

    member_id: str
    role: Role
    key: str


_INVITATION: Final = JsonBody(Invitation)
_CHANGE: Final = JsonBody(MemberChange)
_ACCEPTANCE: Final = JsonBody(Acceptance)


@route(
    "POST /api/v1/members",
    Spec(
        tag="members",
        scope="members:write",
        body=_INVITATION,
        answers={201: MemberInvited},
        examples={"body": _EXAMPLE},
    ),
)
async def invite_member(call: Call) -> Reply:
    """Invite somebody, or send her a new invitation: the one before is worth nothing then.

    Nobody can give away more than she may herself. An invitation is good for seven days.
    """
    body = await call.read(_INVITATION)
    _keep_within(call, body.role)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    email = clean_email(body.email)
    member = await call.services.members.invite(call.tenant_id, email, body.role, hash_token(token))
    invited = MemberInvited(
        member.member_id, member.email, member.role, token, _time(member.invited_until_ms)
    )
    return json_reply(invited, 201)


@route(
    "GET /api/v1/members",
    Spec(tag="members", scope="members:read", rate="read", answers={200: TenantMembers}),
)
async def list_tenant_members(call: Call) -> Reply:
    """All members, and those who are invited."""
    members = await call.services.members.list_members(call.tenant_id)
    return json_reply(TenantMembers([_view(member) for member in members]))


@route(
    "GET /api/v1/members/{member_id}",
    Spec(tag="members", scope="members:read", rate="read", answers={200: TenantMember}),
)
async def get_member(call: Call) -> Reply:
    """One member."""
    return json_reply(_view(await _find(call)))


@route(
    "PATCH /api/v1/members/{member_id}",
    Spec(
        tag="members",
        scope="members:write",
        body=_CHANGE,
        answers={200: TenantMember},
        problems=(409,),
        examples={"body": {"role": "developer"}},
    ),
)
async def change_member(call: Call) -> Reply:
    """Give a member another role, or suspend her: her keys and tokens may nothing within two seconds.

    The last active owner stays one.
    """
    change = await call.read(_CHANGE)
    member = await _find(call)
    _keep_within(call, member.role)
    role, status = change.role or member.role, change.status or member.status
    _keep_within(call, role)
    if member.status == "invited" and change.status:
        raise Conflict("she has not accepted her invitation yet")
    changed = await call.services.members.update(call.tenant_id, member.member_id, role, status)
    call.services.authenticator.forget_all()
    return json_reply(_view(changed))


@route(
    "DELETE /api/v1/members/{member_id}",
    Spec(tag="members", scope="members:write", answers={204: None}, problems=(409,)),
)
async def remove_member(call: Call) -> Reply:
    """Let a member go, or take an invitation back. Her keys end with it; the last owner cannot leave."""
    member = await _find(call)
    _keep_within(call, member.role)
    await call.services.members.remove(call.tenant_id, member.member_id)
    call.services.authenticator.forget_all()
    return Reply(204)


@route(
    "POST /api/v1/invitations/accept",
    Spec(
        tag="members",
        scope=None,
        body=_ACCEPTANCE,
        answers={201: MemberJoined},
        problems=(404, 503),
        examples={"body": {"token": "the-token-that-you-were-given"}},
    ),
)
async def accept_invitation(call: Call) -> Reply:
    """Become a member, with the token of an invitation. It works once."""
    body = await call.read(_ACCEPTANCE)
    token_hash = hash_token(body.token)
    invited = await call.services.members.find_invitation(token_hash)
    if invited is None:
        raise NotFound("there is no such invitation, or it was accepted, taken back, or is too old")
    member, client = invited.member, call.request.client
    act = Act(
        actor=f"member:{member.member_id}",
        operation="accept_invitation",
        target=f"members/{member.member_id}",
        ip=client.host if client else "",
        request_id=call.trip.request_id,
    )
    async with recorded(call.services.audit, invited.tenant_id, act, tell_lost(call)) as ending:
        key = mint_key("live", os.urandom(KEY_BYTES))
        if not await call.services.members.accept(invited, token_hash, _first_key(key, member)):
            raise NotFound("the invitation was accepted or taken back a moment ago")
        ending.facts["status"] = 201
    return json_reply(MemberJoined(member.member_id, member.role, key.text), 201)


def _first_key(minted: MintedKey, member: Member) -> StoredKey:
    """A member's first key as it is kept: it may what her role may, now and later."""
    name = f"member {member.member_id}"
    return StoredKey(
        minted.environment, minted.key_hash, minted.last_four, name, frozenset({EVERYTHING}), None
    )


async def _find(call: Call) -> Member:
    wanted = call.param("member_id")
    members = await call.services.members.list_members(call.tenant_id)
    found = next((member for member in members if member.member_id == wanted), None)
    if found is None:
        raise NotFound("there is no such member")
    return found


def _keep_within(call: Call, role: Role) -> None:
    """Pass where the caller may give, change and take a role: none that may more than she. Raises Refused."""
    if call.principal.environment == TEST:
        raise Refused("a test credential cannot say who acts for the tenant", "environment")
    if not covers(call.principal.scopes, ROLES[role]):
        raise Refused(f"who may not all that the role {role} may cannot give or take it", "scope")


def _view(member: Member) -> TenantMember:
    return TenantMember(
        member.member_id,
        member.email,
        member.role,
        member.status,
        format_time(member.created_ms),
        _time(member.invited_until_ms),
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_time(at_ms)


ROUTES: Final[tuple[Route, ...]] = (
    invite_member,
    list_tenant_members,
    get_member,
    change_member,
    remove_member,
    accept_invitation,
)
