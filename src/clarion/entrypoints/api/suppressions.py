"""The suppression list: who is not to be written to on a channel, and why."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.audience.users import address_hmac
from clarion.compliance.model import ANY_CATEGORY
from clarion.compliance.suppress import (
    AddressText,
    SuppressionPorts,
    SuppressionRequest,
    add_suppressions,
    remove_suppression,
)
from clarion.compliance.suppression import Listed, SuppressionReason, Wanted
from clarion.contracts.channels import Channel
from clarion.contracts.commands import Name
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import ClarionError, Invalid, Unknown

MOST: Final = 1000
PAGE: Final = 100

EXAMPLE: Final = {"address": "ada@example.com", "channel": "email", "reason": "hard_bounce"}
_SHOWN: Final = {
    "user_id": "ada",
    "channel": "email",
    "category": "all",
    "reason": "hard_bounce",
    "source": "suppression_list",
    "needs_review": False,
    "created_at": "2026-01-01T00:00:00.000Z",
}


class SuppressionQuery(msgspec.Struct, frozen=True):
    """Which suppressions: of a user, or of an e-mail address or number; on a channel; for a reason.

    `needs_review`: those that may be a misunderstanding. `cursor`: the `next_cursor` of the page before.
    """

    user_id: Name | None = None
    address: AddressText | None = None
    channel: Channel | None = None
    reason: SuppressionReason | None = None
    needs_review: bool | None = None
    cursor: Annotated[str, Meta(max_length=500)] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST)] = PAGE


class SuppressionView(msgspec.Struct, frozen=True):
    """A suppression. `user_id` is null where no user has the address; addresses themselves are not kept.

    `category` is `all`, unless the reason is `unsubscribe`: a refusal, which leaves receipts and codes alone.
    """

    user_id: str | None
    channel: str
    category: str
    reason: str
    source: str
    needs_review: bool
    created_at: str


class SuppressionList(msgspec.Struct, frozen=True):
    """Suppressions, newest first. `next_cursor` asks for those after them."""

    suppressions: list[SuppressionView]
    next_cursor: str | None


class SuppressionAdded(msgspec.Struct, frozen=True):
    """It holds for every later send."""

    suppressed: bool


class SuppressionBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/suppressions/batch`."""

    suppressions: Annotated[list[SuppressionRequest], Meta(min_length=1, max_length=MOST)]


class SuppressionError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one of a batch, and where."""

    detail: str
    path: str = ""


class SuppressionResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one of a batch."""

    index: int
    suppressed: bool
    error: SuppressionError | None = None


class SuppressionResults(msgspec.Struct, frozen=True):
    """What became of each of a batch, in its order."""

    results: list[SuppressionResult]


class SuppressionRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `DELETE /api/v1/suppressions`. `why` goes into the audit log: leave out who it is about."""

    channel: Channel
    why: Annotated[str, Meta(min_length=3, max_length=500)]
    user_id: Name | None = None
    address: AddressText | None = None


class SuppressionRemoved(msgspec.Struct, frozen=True):
    """How many suppressions ended: several users may have one address."""

    removed: int


_ONE: Final = JsonBody(SuppressionRequest)
_BATCH: Final = JsonBody(SuppressionBatch)
_REMOVAL: Final = JsonBody(SuppressionRemoval)


@route(
    "GET /api/v1/suppressions",
    Spec(
        tag="compliance",
        scope="compliance:read",
        rate="read",
        query=SuppressionQuery,
        answers={200: SuppressionList},
        examples={"answer": {"suppressions": [_SHOWN], "next_cursor": None}},
    ),
)
async def list_suppressions(call: Call) -> Reply:
    """Who is not written to, and why: bounces, complaints, STOPs, unsubscribes, and what you added yourself."""
    asked = call.query(SuppressionQuery)
    ports = ports_of(call)
    user_id = None
    if asked.user_id is not None:
        user_id = (await ports.subjects.find_ids(call.tenant_id, [asked.user_id])).get(asked.user_id)
        if user_id is None:
            return json_reply(SuppressionList([], None))
    address = asked.address
    wanted = Wanted(
        user_id=user_id,
        address_hmacs=None
        if address is None
        else (ports.blind("email", address), ports.blind("sms", address)),
        channel=asked.channel,
        reason=asked.reason,
        review=asked.needs_review,
        before=_place(asked.cursor),
        limit=asked.limit + 1,
    )
    found = await ports.store.page(call.tenant_id, wanted)
    page = found[: asked.limit]
    cursor = _cursor(page[-1]) if len(found) > asked.limit else None
    return json_reply(SuppressionList([_view(one) for one in page], cursor))


@route(
    "POST /api/v1/suppressions",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_ONE,
        answers={200: SuppressionAdded},
        examples={"body": EXAMPLE, "answer": {"suppressed": True}},
    ),
)
async def add_suppression(call: Call) -> Reply:
    """Let a channel of somebody be silent: a user, or an address that may be nobody's yet.

    It outlasts the user. What she said herself (`stop`, `complaint`, `unsubscribe`) only her own express consent ends.
    """
    (error,) = await _add(call, [await call.read(_ONE)])
    if error is not None:
        raise error
    return json_reply(SuppressionAdded(suppressed=True))


@route(
    "POST /api/v1/suppressions/batch",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_BATCH,
        answers={200: SuppressionResults},
        examples={
            "body": {"suppressions": [EXAMPLE]},
            "answer": {"results": [{"index": 0, "suppressed": True}]},
        },
    ),
)
async def add_suppressions_batch(call: Call) -> Reply:
    """Bring up to 1000 suppressions, as from another vendor's list. Those with an error change nothing."""
    errors = await _add(call, (await call.read(_BATCH)).suppressions)
    return json_reply(SuppressionResults([_result(i, error) for i, error in enumerate(errors)]))


@route(
    "DELETE /api/v1/suppressions",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_REMOVAL,
        answers={200: SuppressionRemoved},
        problems=(404, 409, 422),
        examples={
            "body": {"address": "ada@example.com", "channel": "email", "why": "The mailbox is back."},
            "answer": {"removed": 1},
        },
    ),
)
async def delete_suppression(call: Call) -> Reply:
    """End a suppression that was wrong: a bounce, what you added, or what was to be looked at.

    STOP, complaints and unsubscribes are refused with 409: they are hers to take back.
    """
    body = await call.read(_REMOVAL)
    request = SuppressionRequest(channel=body.channel, user_id=body.user_id, address=body.address)
    freed = await remove_suppression(call.tenant_id, request, ports_of(call))
    await call.services.cards.refresh(call.tenant_id, freed.people)
    return json_reply(SuppressionRemoved(freed.count))


async def _add(call: Call, requests: list[SuppressionRequest]) -> list[ClarionError | None]:
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    added = await add_suppressions(call.tenant_id, requests, config.categories, ports_of(call))
    if added.people:
        await call.services.cards.refresh(call.tenant_id, added.people)
    return list(added.errors)


def ports_of(call: Call) -> SuppressionPorts:
    """What it takes to read and write the list of the call's tenant."""
    region, tenant_id = call.services.gateway.region, call.tenant_id
    return SuppressionPorts(
        region.seals,
        region.consents,
        call.services.suppressions,
        lambda channel, address: address_hmac(tenant_id, channel, address, region.sealer),
    )


def _result(index: int, error: ClarionError | None) -> SuppressionResult:
    if error is None:
        return SuppressionResult(index, suppressed=True)
    path = error.path if isinstance(error, Invalid | Unknown) else ""
    return SuppressionResult(index, suppressed=False, error=SuppressionError(error.detail, path))


def _view(one: Listed) -> SuppressionView:
    at = datetime.fromtimestamp(one.at_us // 1000 / 1000, UTC).isoformat(timespec="milliseconds")
    category = "all" if one.category == ANY_CATEGORY else one.category
    return SuppressionView(
        one.external_id,
        one.channel,
        category,
        one.reason,
        one.source,
        one.review,
        at.replace("+00:00", "Z"),
    )


def _cursor(last: Listed) -> str:
    return base64.urlsafe_b64encode(f"{last.at_us}:{last.key}".encode()).decode()


def _place(cursor: str) -> tuple[int, str] | None:
    """The place that a cursor says. Raises Invalid."""
    if not cursor:
        return None
    try:
        at_us, colon, key = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
    except ValueError:  # no base64, or no text in it
        at_us, colon, key = "", "", ""
    if not (colon and at_us.isascii() and at_us.isdecimal() and int(at_us) < 1 << 62 and "\0" not in key):
        raise Invalid("is no cursor: take `next_cursor` of the page before as it is", "cursor")
    return int(at_us), key


ROUTES: Final[tuple[Route, ...]] = (
    list_suppressions,
    add_suppression,
    add_suppressions_batch,
    delete_suppression,
)
