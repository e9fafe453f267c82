"""Telling users things, and what became of it."""

from __future__ import annotations

import base64
import binascii
import contextlib
from itertools import groupby
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.notifications import ListedDelivery, ListQuery
from clarion.contracts.commands import AwareTime, Name, NotificationRequest
from clarion.contracts.responses import BatchAccepted, NotificationAccepted
from clarion.contracts.statuses import Status
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import (
    MAX_BATCH_BYTES,
    MAX_BYTES,
    MAX_ITEMS,
    NDJSON,
    JsonBody,
    check_media,
)
from clarion.entrypoints.api.environments import keep_live
from clarion.entrypoints.api.idempotency import REPLAYED
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.api.views import (
    CancelView,
    NotificationList,
    NotificationView,
    TraceView,
    as_cancelled,
    as_listed,
    as_notification,
    as_trace,
)
from clarion.kernel.errors import ClarionError, Conflict, Invalid, NotFound, Transient
from clarion.kernel.ids import UUID_BYTES, parse_id
from clarion.orchestration.accept import Answer, Ask
from clarion.orchestration.model import Submission
from clarion.tenancy.model import TEST, Environment

DAY_MS: Final = 24 * 3600 * 1000
MAX_PAGE: Final = 100
DELIVERIES_EACH: Final = 4
"""Most deliveries of one notification: one a channel, and that without one where its chain began after a refusal."""


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`NotificationBatch` as it is read: each item stands for itself, and is decoded by itself."""

    notifications: list[msgspec.Raw]


class NotificationBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/notifications/batch`: up to 1000 notifications."""

    notifications: Annotated[list[NotificationRequest], Meta(min_length=1, max_length=MAX_ITEMS)]


class ListParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which notifications. Without `user_id`, those since `since` (24 hours ago where it is left out).

    `status` leaves the deliveries in that status, `environment` those of live or of test credentials. `cursor` is the
    `next_cursor` of the page before.
    """

    user_id: Name | None = None
    status: Status | None = None
    since: AwareTime | None = None
    cursor: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20
    environment: Environment | None = None


_ONE: Final = JsonBody(NotificationRequest)
_BATCH: Final = JsonBody(BatchRequest, max_bytes=MAX_BATCH_BYTES, envelope=True, shown=NotificationBatch)


@route(
    "POST /api/v1/notifications",
    Spec(
        tag="notifications",
        scope="notifications:write",
        rate="accept",
        body=_ONE,
        answers={201: NotificationAccepted},
        accepts=True,
        examples={"body": examples.NOTIFICATION, "answer": examples.ACCEPTED},
    ),
)
async def create_notification(call: Call) -> Reply:
    """Tell one user one thing.

    `201` means that it is durable. Without `template`, `data` itself carries `subject`, `title` and `body`.
    """
    raw = await call.raw()
    submission = Submission(_ONE.decode(raw), call.trip.traceparent)
    principal = call.principal
    ask = Ask(principal.tenant_id, principal.environment, [submission], call.claim(raw))
    return _created(await call.services.acceptor.submit(ask, call.trip.answer))


@route(
    "POST /api/v1/notifications/batch",
    Spec(
        tag="notifications",
        scope="notifications:write",
        rate="accept",
        body=_BATCH,
        answers={201: BatchAccepted},
        accepts=True,
        lines=True,
        examples={"body": {"notifications": [examples.NOTIFICATION]}, "answer": examples.BATCH_ACCEPTED},
    ),
)
async def create_notifications(call: Call) -> Reply:
    """Tell up to 1000 things at once.

    One result per item, in order: a wrong item is told by its `error` and stops no other. The body is
    `{"notifications": […]}`, or one notification a line as `application/x-ndjson`. It counts as many requests as it has
    items, and one `Idempotency-Key` covers all of it.
    """
    raw = await call.raw()
    items = _split(raw, check_media(call.trip.headers, or_lines=True))
    principal = call.principal
    ask = Ask(
        principal.tenant_id,
        principal.environment,
        [_submission(item, call.trip.traceparent) for item in items],
        call.claim(raw),
        batch=True,
    )
    return _created(await call.services.acceptor.submit(ask, call.trip.answer))


def _split(raw: bytes, media: bytes) -> list[bytes]:
    """The items' bytes. Raises Invalid on a body that has none, or too many."""
    if media == NDJSON:
        items = [line for line in raw.split(b"\n") if line.strip()]
    else:
        items = [bytes(item) for item in _BATCH.decode(raw).notifications]
    if not 1 <= len(items) <= MAX_ITEMS:
        raise Invalid(f"has {len(items)} items, where 1 to {MAX_ITEMS} can be taken at once", "notifications")
    return items


def _submission(item: bytes, traceparent: str) -> Submission | ClarionError:
    if len(item) > MAX_BYTES:
        return Invalid(f"has more than {MAX_BYTES >> 20} MB")
    try:
        return Submission(_ONE.decode(item), traceparent)
    except Invalid as error:
        return error


def _created(answer: Answer) -> Reply:
    return Reply(201, answer.body, (REPLAYED,) if answer.replayed else ())


def _ident(call: Call) -> bytes:
    """The notification's id in the path. Raises NotFound on what cannot be one: nobody has such a notification."""
    ident = parse_id(call.param("notification_id"))
    if ident is None or ident[15] & 0x0F or ident[6] >> 4 != 7:  # noqa: PLR2004  UUID version 7, no channel
        raise _not_found()
    return ident


def _not_found() -> NotFound:
    return NotFound("there is no such notification")


@route(
    "GET /api/v1/notifications/{notification_id}",
    Spec(
        tag="notifications",
        scope="notifications:read",
        rate="read",
        answers={200: NotificationView},
        examples={"answer": examples.NOTIFICATION_VIEW},
    ),
)
async def get_notification(call: Call) -> Reply:
    """A notification with its deliveries."""
    ident = _ident(call)
    records = await call.services.gateway.region.notifications.read(call.tenant_id, ident)
    if not records:
        raise _not_found()
    return json_reply(as_notification(records))


@route(
    "GET /api/v1/notifications/{notification_id}/trace",
    Spec(tag="notifications", scope="notifications:read", rate="read", answers={200: TraceView}),
)
async def trace_notification(call: Call) -> Reply:
    """Why: the decision with all that it was made on, and every attempt, in order."""
    ident = _ident(call)
    records = await call.services.gateway.region.notifications.read(call.tenant_id, ident)
    if not records:
        raise _not_found()
    return json_reply(as_trace(records))


@route(
    "GET /api/v1/notifications",
    Spec(
        tag="notifications",
        scope="notifications:read",
        rate="read",
        query=ListParameters,
        answers={200: NotificationList},
    ),
)
async def list_notifications(call: Call) -> Reply:
    """Notifications, newest first: of one user, or of a time."""
    wanted = call.query(ListParameters)
    region = call.services.gateway.region
    since_ms = (
        region.clock.now_ms() - DAY_MS if wanted.since is None else int(wanted.since.timestamp() * 1000)
    )
    # One row more than the page can hold shows whether there is a next one, and that the last group is whole.
    most = wanted.limit * DELIVERIES_EACH + 1
    is_test = None if wanted.environment is None else wanted.environment == TEST
    query = ListQuery(wanted.user_id, wanted.status, since_ms, _position(wanted.cursor), most, is_test)
    rows = await region.notifications.list(call.tenant_id, query)
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row.notification_id)]
    page = groups[: wanted.limit]
    is_last = len(groups) <= wanted.limit and len(rows) < most
    cursor = None if is_last or not page else _cursor(page[-1][-1])
    return json_reply(NotificationList([as_listed(group) for group in page], cursor))


def _cursor(row: ListedDelivery) -> str:
    return base64.urlsafe_b64encode(row.created_ms.to_bytes(8, "big") + row.delivery_id).decode()


def _position(cursor: str | None) -> tuple[int, bytes]:
    if cursor is None:
        return _NEWEST
    try:
        packed = base64.urlsafe_b64decode(cursor)
    except (ValueError, binascii.Error):
        packed = b""
    at_ms = int.from_bytes(packed[:8], "big")
    if len(packed) != 8 + UUID_BYTES or at_ms > _NEWEST[0]:
        raise Invalid("is no cursor: take `next_cursor` of the page before as it is", "cursor")
    return at_ms, packed[8:]


_NEWEST: Final = (253_402_300_799_000, b"\xff" * UUID_BYTES)
"""Before which everything lies: the end of the year 9999, which is as far as a time can be written."""


@route(
    "POST /api/v1/notifications/{notification_id}/cancel",
    Spec(tag="notifications", scope="notifications:write", answers={200: CancelView}),
)
async def cancel_notification(call: Call) -> Reply:
    """Stop what nobody has begun to send.

    `409` where every delivery is being sent, or over.
    """
    ident = _ident(call)
    region = call.services.gateway.region
    records = await region.notifications.read(call.tenant_id, ident)
    if not records:
        raise _not_found()
    keep_live(call, is_test=records[0].is_test)
    cancelled = await region.notifications.cancel(call.tenant_id, ident, region.clock.now_ms())
    records = await region.notifications.read(call.tenant_id, ident)
    if not cancelled:
        states = ", ".join(f"{record.channel} is {record.status}" for record in records)
        raise Conflict(f"nothing is left to cancel: {states}")
    with contextlib.suppress(Transient):
        # What the queue still holds of them, a worker finds cancelled in Postgres.
        await region.queue.remove(cancelled)
    return json_reply(as_cancelled(records, {item.delivery_id for item in cancelled}))


ROUTES: Final[tuple[Route, ...]] = (
    create_notification,
    create_notifications,
    list_notifications,
    get_notification,
    trace_notification,
    cancel_notification,
)
