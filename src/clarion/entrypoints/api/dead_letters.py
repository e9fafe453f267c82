"""Deliveries that were given up because of ourselves: look at them, open them anew, forget them."""

from __future__ import annotations

import base64
import binascii
import contextlib
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.dead_letters import FIRST, LetterFilter, LetterQuery, RedriveOrder
from clarion.contracts.channels import Channel
from clarion.contracts.commands import AwareTime, Name
from clarion.delivery.suspects import DeadLetter
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import MAX_ITEMS, JsonBody
from clarion.entrypoints.api.environments import changeable
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound, Transient
from clarion.kernel.ids import UUID_BYTES, format_id, parse_id
from clarion.orchestration.rows import format_time
from clarion.tenancy.model import Environment, environment_of

MAX_PAGE: Final = 100
MOST_AT_ONCE: Final = 10_000
"""Letters that one call redrives at most: more take another call, which goes on where this one ended."""

_LAST_MS: Final = 253_402_300_799_000
"""The end of the year 9999, which is as far as a time can be written."""

Reason = Literal["crashed_workers", "deliveries"]


class LetterParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters. `state`: `dead` (waiting for somebody), `redriven`, or `all`.

    `cursor` is the `next_cursor` of the page before.
    """

    reason: Reason | None = None
    channel: Channel | None = None
    category: Name | None = None
    died_before: AwareTime | None = None
    state: Literal["dead", "redriven", "all"] = "dead"
    cursor: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20


class RedriveFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters to redrive; an empty filter: all."""

    reason: Reason | None = None
    channel: Channel | None = None
    category: Name | None = None
    died_before: AwareTime | None = None


class RedriveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/dead-letters/redrive`: either `ids` (of deliveries) or `filter`.

    `rate_per_s`: how many become due a second. Redrives of a tenant queue up behind one another, so that the pace
    holds over several calls.
    """

    ids: Annotated[list[str], Meta(min_length=1, max_length=MAX_ITEMS)] | None = None
    filter: RedriveFilter | None = None
    rate_per_s: Annotated[float, Meta(ge=0.001, le=10_000)] = 100.0
    limit: Annotated[int, Meta(ge=1, le=MOST_AT_ONCE)] = MOST_AT_ONCE


class DeadLetterView(msgspec.Struct, frozen=True):
    """A dead letter. `status` is the delivery's: `failed`, or `unknown` where its last attempt may have arrived.

    `reason`: `crashed_workers` (three workers died over it) or `deliveries` (five claims failed by an error of ours).
    `redriven_at` is null while it waits for somebody.
    """

    delivery_id: str
    notification_id: str
    environment: Environment
    user_id: str
    category: str
    channel: str
    template: str | None
    priority: int
    status: str
    reason: str
    last_error: str
    crashes: int
    deliveries: int
    attempts: int
    provider: str | None
    created_at: str
    died_at: str
    redrives: int
    redriven_at: str | None
    redrive_due_at: str | None


class DeadLetterList(msgspec.Struct, frozen=True):
    """A page, oldest first. `next_cursor` asks for the next one; null: this is the last."""

    dead_letters: list[DeadLetterView]
    next_cursor: str | None


class LeftView(msgspec.Struct, frozen=True):
    """A letter that was named and not redriven, and why."""

    delivery_id: str
    reason: str


class RedriveView(msgspec.Struct, frozen=True):
    """What became of a redrive. `remaining`: letters of the filter that a further call would redrive."""

    redriven: int
    left: list[LeftView]
    remaining: int
    first_due_at: str | None
    last_due_at: str | None


_BODY: Final = JsonBody(RedriveBody)

_EXAMPLE: Final[dict[str, Any]] = {
    "delivery_id": "0198f3c2-7d40-7c1e-9a55-3f0c5b2a6d11",
    "notification_id": examples.ID,
    "environment": "live",
    "user_id": "ada",
    "category": "transactional",
    "channel": "email",
    "template": "order-shipped",
    "priority": 5,
    "status": "failed",
    "reason": "deliveries",
    "last_error": "ValidationError at deliveries.py:63 in _job",
    "crashes": 0,
    "deliveries": 5,
    "attempts": 0,
    "provider": None,
    "created_at": "2026-12-01T07:59:58.104Z",
    "died_at": "2026-12-01T08:00:31.020Z",
    "redrives": 0,
    "redriven_at": None,
    "redrive_due_at": None,
}


@route(
    "GET /api/v1/dead-letters",
    Spec(
        tag="dead letters",
        scope="notifications:read",
        rate="read",
        query=LetterParameters,
        answers={200: DeadLetterList},
        examples={"answer": {"dead_letters": [_EXAMPLE], "next_cursor": None}},
    ),
)
async def list_dead_letters(call: Call) -> Reply:
    """Deliveries that we could not work on, oldest first."""
    wanted = call.query(LetterParameters)
    chosen = LetterFilter(wanted.reason, wanted.channel, wanted.category, _ms(wanted.died_before))
    redriven = {"dead": False, "redriven": True, "all": None}[wanted.state]
    query = LetterQuery(chosen, redriven, _position(wanted.cursor), wanted.limit + 1)
    letters = await call.services.gateway.region.letters.list(call.tenant_id, query)
    page = letters[: wanted.limit]
    cursor = _cursor(page[-1]) if len(letters) > wanted.limit else None
    return json_reply(DeadLetterList([_view(letter) for letter in page], cursor))


@route(
    "GET /api/v1/dead-letters/{delivery_id}",
    Spec(
        tag="dead letters",
        scope="notifications:read",
        rate="read",
        answers={200: DeadLetterView},
        examples={"answer": _EXAMPLE},
    ),
)
async def get_dead_letter(call: Call) -> Reply:
    """One dead letter."""
    letter = await call.services.gateway.region.letters.read(call.tenant_id, _ident(call))
    if letter is None:
        raise _not_found()
    return json_reply(_view(letter))


@route(
    "POST /api/v1/dead-letters/redrive",
    Spec(
        tag="dead letters",
        scope="notifications:write",
        body=_BODY,
        answers={200: RedriveView},
        examples={
            "body": {"filter": {"reason": "deliveries"}, "rate_per_s": 50},
            "answer": {
                "redriven": 2,
                "left": [],
                "remaining": 0,
                "first_due_at": "2026-12-01T09:00:00.020Z",
                "last_due_at": "2026-12-01T09:00:00.040Z",
            },
        },
    ),
)
async def redrive_dead_letters(call: Call) -> Reply:
    """Open deliveries anew, at a pace.

    The same deliveries, under the same promise: a provider that drops repeats drops them here too. What has expired, or
    has been delivered after all, is left. Asking again redrives nothing twice.
    """
    body = await call.read(_BODY)
    if (body.ids is None) == (body.filter is None):
        raise Invalid("give either ids or filter", "ids")
    region = call.services.gateway.region
    ids = None if body.ids is None else [_listed(text, i) for i, text in enumerate(body.ids)]
    wanted = body.filter or RedriveFilter()
    chosen = LetterFilter(
        wanted.reason, wanted.channel, wanted.category, _ms(wanted.died_before), changeable(call)
    )
    order = RedriveOrder(ids, chosen, body.rate_per_s, body.limit)
    opened = await region.letters.redrive(call.tenant_id, order, region.clock.now_ms())
    with contextlib.suppress(Transient):
        # The sweeper queues what Valkey could not be told.
        await region.queue.enqueue(opened)
    done = {item.delivery_id for item in opened}
    left = [ident for ident in ids or () if ident not in done]
    reasons = await region.letters.explain_left(call.tenant_id, left, is_test=changeable(call))
    return json_reply(
        RedriveView(
            redriven=len(opened),
            left=[LeftView(format_id(ident), reasons[ident]) for ident in left],
            remaining=0 if ids is not None else await region.letters.count_redrivable(call.tenant_id, chosen),
            first_due_at=format_time(opened[0].due_ms) if opened else None,
            last_due_at=format_time(opened[-1].due_ms) if opened else None,
        )
    )


@route(
    "DELETE /api/v1/dead-letters/{delivery_id}",
    Spec(tag="dead letters", scope="notifications:write", answers={204: None}),
)
async def delete_dead_letter(call: Call) -> Reply:
    """Forget a dead letter. Its notification stays as it ended."""
    if not await call.services.gateway.region.letters.drop(
        call.tenant_id, [_ident(call)], is_test=changeable(call)
    ):
        raise _not_found()
    return Reply(204)


def _not_found() -> NotFound:
    return NotFound("there is no such dead letter")


def _ident(call: Call) -> bytes:
    ident = parse_id(call.param("delivery_id"))
    if ident is None:
        raise _not_found()
    return ident


def _listed(text: str, index: int) -> bytes:
    ident = parse_id(text)
    if ident is None:
        raise Invalid("is no delivery's id", f"ids[{index}]")
    return ident


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _time(ms: int | None) -> str | None:
    return None if ms is None else format_time(ms)


def _cursor(letter: DeadLetter) -> str:
    return base64.urlsafe_b64encode(letter.died_ms.to_bytes(8, "big") + letter.delivery_id).decode()


def _position(cursor: str | None) -> tuple[int, bytes]:
    if cursor is None:
        return FIRST
    try:
        packed = base64.urlsafe_b64decode(cursor)
    except (ValueError, binascii.Error):
        packed = b""
    at_ms = int.from_bytes(packed[:8], "big")
    if len(packed) != 8 + UUID_BYTES or at_ms > _LAST_MS:
        raise Invalid("is no cursor: take `next_cursor` of the page before as it is", "cursor")
    return at_ms, packed[8:]


def _view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        delivery_id=format_id(letter.delivery_id),
        notification_id=format_id(letter.notification_id),
        environment=environment_of(is_test=letter.is_test),
        user_id=letter.user_id,
        category=letter.category,
        channel=letter.channel,
        template=letter.template or None,
        priority=letter.priority,
        status=letter.status,
        reason=letter.reason,
        last_error=letter.last_error,
        crashes=letter.crashes,
        deliveries=letter.deliveries,
        attempts=letter.attempts,
        provider=letter.provider or None,
        created_at=format_time(letter.created_ms),
        died_at=format_time(letter.died_ms),
        redrives=letter.redrives,
        redriven_at=_time(letter.redriven_ms),
        redrive_due_at=_time(letter.redrive_due_ms),
    )


ROUTES: Final[tuple[Route, ...]] = (
    list_dead_letters,
    get_dead_letter,
    redrive_dead_letters,
    delete_dead_letter,
)
