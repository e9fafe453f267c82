"""API keys."""

from __future__ import annotations

import os
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.contracts.commands import AwareTime
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import ANY_KEY, Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound, Refused
from clarion.kernel.ids import format_id
from clarion.orchestration.rows import format_time
from clarion.tenancy.api_keys import KEY_BYTES, SCOPES, KeyRequest, create_key
from clarion.tenancy.model import Environment, Role
from clarion.tenancy.ports import KeyRecord
from clarion.tenancy.roles import ROLES, covers

Scope = Annotated[str, Meta(extra_json_schema={"enum": sorted(SCOPES)})]


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/keys`. No more than the calling key may itself; without `expires_at` it does not expire.

    Either `scopes`, or a `role`: then it may what the role may, also when that changes.
    """

    name: Annotated[str, Meta(max_length=200)] = ""
    environment: Environment | None = None
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=100)] | None = None
    expires_at: AwareTime | None = None
    role: Role | None = None


class KeyCreated(msgspec.Struct, frozen=True):
    """A new key. `key` is shown here and never again."""

    key_id: str
    key: str
    name: str
    environment: str
    scopes: list[str]
    last_four: str
    expires_at: str | None
    role: Role | None


class KeyView(msgspec.Struct, frozen=True):
    """A key as its tenant sees it. `member_id`: whose it is; it never may more than she. Null: nobody's in person."""

    key_id: str
    name: str
    environment: str
    scopes: list[str]
    last_four: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    role: Role | None
    member_id: str | None


class KeyList(msgspec.Struct, frozen=True):
    """Every key that the tenant ever had, newest first."""

    keys: list[KeyView]


class WhoAmI(msgspec.Struct, frozen=True):
    """Whose key this is, and what it may do."""

    tenant_id: str
    tenant: str
    key_id: str
    environment: str
    scopes: list[str]
    member_id: str | None


_NEW: Final = JsonBody(NewKey)


@route(
    "POST /api/v1/keys",
    Spec(
        tag="keys",
        scope="keys:write",
        body=_NEW,
        answers={201: KeyCreated},
        examples={"body": {"name": "shop-backend", "scopes": ["notifications:write"]}},
    ),
)
async def post_key(call: Call) -> Reply:
    """Make a key.

    Two keys of one name may live at the same time, so that one replaces the other without an outage.
    """
    body = await call.read(_NEW)
    principal = call.principal
    if body.role and body.scopes:
        raise Invalid("give either `scopes` or `role`", "role")
    scopes = sorted(
        ROLES[body.role] if body.role else principal.scopes if body.scopes is None else body.scopes
    )
    environment: Environment = body.environment or ("test" if principal.environment == "test" else "live")
    if not covers(principal.scopes, frozenset(scopes)):
        raise Refused("a key cannot give away what it may not do itself", "scope")
    if environment == "live" and principal.environment != "live":
        raise Refused("a test key cannot make live ones", "environment")
    expires_ms = None if body.expires_at is None else int(body.expires_at.timestamp() * 1000)
    region = call.services.gateway.region
    minted = await create_key(
        call.tenant_id,
        KeyRequest(body.name, environment, scopes, expires_ms, body.role, principal.member_id or None),
        region.keys,
        chance=os.urandom(KEY_BYTES),
        now_ms=region.clock.now_ms(),
    )
    created = KeyCreated(
        minted.key_id,
        minted.text,
        body.name,
        environment,
        scopes,
        minted.last_four,
        _time(expires_ms),
        body.role,
    )
    return json_reply(created, 201)


@route("GET /api/v1/keys", Spec(tag="keys", scope="keys:read", rate="read", answers={200: KeyList}))
async def list_keys(call: Call) -> Reply:
    """The tenant's keys, without their texts."""
    records = await call.services.gateway.region.keys.list_keys(call.tenant_id)
    return json_reply(KeyList([_view(record) for record in records]))


@route("DELETE /api/v1/keys/{key_id}", Spec(tag="keys", scope="keys:write", answers={204: None}))
async def delete_key(call: Call) -> Reply:
    """End a key. It works nowhere any more after two seconds."""
    key_id = call.param("key_id")
    if not await call.services.gateway.region.keys.revoke_key(call.tenant_id, key_id):
        raise NotFound("there is no such key")
    call.services.authenticator.forget(key_id)
    return Reply(204)


@route("GET /api/v1/me", Spec(tag="keys", scope=ANY_KEY, rate="read", answers={200: WhoAmI}))
async def show_me(call: Call) -> Reply:
    """Whose key this is."""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    principal = call.principal
    me = WhoAmI(
        format_id(call.tenant_id),
        config.tenant.name,
        principal.key_id,
        principal.environment,
        sorted(principal.scopes),
        principal.member_id or None,
    )
    return json_reply(me)


def _view(record: KeyRecord) -> KeyView:
    return KeyView(
        record.key_id,
        record.name,
        record.environment,
        record.scopes,
        record.last_four,
        format_time(record.created_ms),
        _time(record.expires_ms),
        _time(record.revoked_ms),
        record.role,
        record.member_id,
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_time(at_ms)


ROUTES: Final[tuple[Route, ...]] = (post_key, list_keys, delete_key, show_me)
