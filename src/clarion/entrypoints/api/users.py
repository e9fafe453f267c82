"""Users: written whole, read, deleted."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.audience.devices import owners_of
from clarion.audience.profile import UserItem, UserProfile
from clarion.audience.users import Upserted, delete_user, get_user, open_users, upsert_users
from clarion.compliance.erasure import subject_hash
from clarion.contracts.responses import ItemError
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, MAX_ITEMS, JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import ClarionError, Invalid, Transient
from clarion.orchestration.rows import describe_error


class UsersRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`UserBatch` as it is read: each user stands for itself, and is decoded by itself."""

    users: list[msgspec.Raw]


class UserBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/users/batch`: up to 1000 users."""

    users: Annotated[list[UserItem], Meta(min_length=1, max_length=MAX_ITEMS)]


class UserResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one user of a batch: `change` is `created`, `updated` or `unchanged`; or `error`."""

    index: int
    user_id: str | None = None
    change: str | None = None
    error: ItemError | None = None


class UsersWritten(msgspec.Struct, frozen=True):
    """Answer to a batch of users, one entry per item in order."""

    results: list[UserResult]


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of `GET /api/v1/users`. `cursor`: the `next_cursor` of the page before."""

    cursor: Annotated[str, Meta(max_length=16)] = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class UserList(msgspec.Struct, frozen=True):
    """Users in the order in which they came; `next_cursor` null: this is the last page."""

    users: list[UserItem]
    next_cursor: str | None


MAX_USER_ID: Final = 1 << 63

_PROFILE: Final = JsonBody(UserProfile)
_ITEM: Final = JsonBody(UserItem)
_BATCH: Final = JsonBody(UsersRequest, max_bytes=MAX_BATCH_BYTES, envelope=True, shown=UserBatch)


@route(
    "PUT /api/v1/users/{user_id}",
    Spec(
        tag="users",
        scope="users:write",
        body=_PROFILE,
        answers={200: UserItem, 201: UserItem},
        examples={"body": examples.USER, "answer": {"user_id": "ada", **examples.USER}},
    ),
)
async def put_user(call: Call) -> Reply:
    """Create a user, or replace her profile.

    The profile is the whole of it: what is left out is removed. Three things excepted, which the user herself sets:
    left out, `preferences`, `quiet_hours` and the devices that were registered by themselves stay as they are. The
    answer has all of it as it is kept, normalised.
    """
    user_id = call.param("user_id")
    profile = await call.read(_PROFILE)
    (result,) = await _write(call, [(user_id, profile)])
    if isinstance(result, ClarionError):
        raise result
    region = call.services.gateway.region
    # Read back: what the profile leaves out may be there.
    kept = await get_user(call.tenant_id, user_id, region.users, region.seals)
    return json_reply(kept, 201 if result.change == "created" else 200)


@route(
    "POST /api/v1/users/batch",
    Spec(
        tag="users",
        scope="users:write",
        body=_BATCH,
        answers={200: UsersWritten},
        examples={"body": {"users": [{"user_id": "ada", **examples.USER}]}},
    ),
)
async def put_users(call: Call) -> Reply:
    """Create or replace up to 1000 users. A wrong one stops no other."""
    raw_items = (await call.read(_BATCH)).users
    if not 1 <= len(raw_items) <= MAX_ITEMS:
        raise Invalid(f"has {len(raw_items)} items, where 1 to {MAX_ITEMS} can be taken at once", "users")
    await call.charge(len(raw_items) - 1)
    items = [_decode(bytes(raw)) for raw in raw_items]
    known = [item for item in items if isinstance(item, UserItem)]
    written = iter(await _write(call, [(item.user_id, item) for item in known]))
    results = [next(written) if isinstance(item, UserItem) else item for item in items]
    lost = next((result for result in results if isinstance(result, Transient)), None)
    if lost is not None and not any(isinstance(result, Upserted) for result in results):
        raise lost
    return json_reply(UsersWritten([_result(i, result) for i, result in enumerate(results)]))


def _decode(raw: bytes) -> UserItem | Invalid:
    try:
        return _ITEM.decode(raw)
    except Invalid as error:
        return error


async def _write(call: Call, items: list[tuple[str, UserProfile]]) -> list[Upserted | ClarionError]:
    if not items:
        return []
    region = call.services.gateway.region
    profiles = (profile for _, profile in items)
    owners = await owners_of(call.tenant_id, profiles, region.devices, region.sealer)
    results = await upsert_users(call.tenant_id, items, region.users, region.keyring, region.sealer)
    changed = [r.external_id for r in results if isinstance(r, Upserted) and r.change != "unchanged"]
    await call.services.cards.refresh(call.tenant_id, [*changed, *owners])
    return results


def _result(index: int, result: Upserted | ClarionError) -> UserResult:
    if isinstance(result, ClarionError):
        return UserResult(index, error=describe_error(result))
    return UserResult(index, result.external_id, result.change)


@route(
    "GET /api/v1/users/{user_id}",
    Spec(
        tag="users",
        scope="users:read",
        rate="read",
        answers={200: UserItem},
        examples={"answer": {"user_id": "ada", **examples.USER}},
    ),
)
async def read_user(call: Call) -> Reply:
    """A user's profile."""
    region = call.services.gateway.region
    return json_reply(await get_user(call.tenant_id, call.param("user_id"), region.users, region.seals))


@route(
    "GET /api/v1/users",
    Spec(
        tag="users",
        scope="users:read",
        rate="read",
        query=ListQuery,
        answers={200: UserList},
        examples={"answer": {"users": [{"user_id": "ada", **examples.USER}], "next_cursor": None}},
    ),
)
async def list_users(call: Call) -> Reply:
    """All users, page by page, in the order in which they came. `clarion export users` is faster."""
    asked = call.query(ListQuery)
    region = call.services.gateway.region
    rows = await region.users.page(call.tenant_id, _after(asked.cursor), asked.limit)
    users = await open_users(call.tenant_id, rows, region.seals)
    return json_reply(UserList(users, format(rows[-1].user_id, "x") if len(rows) == asked.limit else None))


def _after(cursor: str) -> int:
    try:
        after = int(cursor or "0", 16)
    except ValueError:
        after = -1
    if not 0 <= after < MAX_USER_ID:
        raise Invalid("is no cursor of this list", "cursor")
    return after


@route("DELETE /api/v1/users/{user_id}", Spec(tag="users", scope="users:write", answers={204: None}))
async def remove_user(call: Call) -> Reply:
    """Remove a user with her profile, context and key.

    What waits to be sent to her ends for want of an address. What was sent stays: to remove that as well, ask for an
    erasure, before or afterwards.
    """
    region = call.services.gateway.region
    name = call.param("user_id")
    # The context first: where Valkey is away nothing has happened yet, and the same call does all of it later.
    await region.contexts.drop(list((await region.users.find_ids(call.tenant_id, [name])).values()))
    subject = subject_hash(call.tenant_id, name, region.sealer.blind)
    await region.erasures.remember(call.tenant_id, name, subject)
    await delete_user(call.tenant_id, name, region.users, region.keyring)
    await call.services.cards.refresh(call.tenant_id, [name])
    return Reply(204)


ROUTES: Final[tuple[Route, ...]] = (put_user, put_users, read_user, list_users, remove_user)
