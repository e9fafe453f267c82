"""Events: what users did."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.audience.events import EventAsk, EventItem, derive_event_ids
from clarion.contracts.responses import ItemError
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, MAX_ITEMS, JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.hooks.global_privacy import heed_passed_signal
from clarion.kernel.errors import ClarionError, Invalid
from clarion.kernel.ids import format_id, make_ids, split_ids
from clarion.orchestration.rows import describe_error

EXAMPLE: Final = {
    "user_id": "ada",
    "event": "purchase",
    "properties": {"order": "1815", "total": 12.5},
}
EVENT_ID: Final = "0198f3c2-7d40-7c1e-9a55-3f0c5b2a6d10"


class EventsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`EventBatch` as it is read: each event stands for itself, and is decoded by itself."""

    events: list[msgspec.Raw]


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/events/batch`: up to 1000 events."""

    events: Annotated[list[EventItem], Meta(min_length=1, max_length=MAX_ITEMS)]


class EventRecorded(msgspec.Struct, frozen=True):
    """The event is durable and counted."""

    event_id: str


class EventResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event of a batch: its id, or `error`."""

    index: int
    event_id: str | None = None
    error: ItemError | None = None


class EventsRecorded(msgspec.Struct, frozen=True):
    """Answer to a batch of events, one entry per item in order."""

    results: list[EventResult]


_ITEM: Final = JsonBody(EventItem)
_BATCH: Final = JsonBody(EventsRequest, max_bytes=MAX_BATCH_BYTES, envelope=True, shown=EventBatch)


@route(
    "POST /api/v1/events",
    Spec(
        tag="events",
        scope="events:write",
        body=_ITEM,
        answers={202: EventRecorded},
        examples={"body": EXAMPLE, "answer": {"event_id": EVENT_ID}},
    ),
)
async def record_event(call: Call) -> Reply:
    """Say what a user did.

    `202` means that it is durable and counted: segments see it at once, journeys as soon as they have read it. With an
    `Idempotency-Key` a repeat counts once, even where the first answer was lost. With `Sec-GPC: 1`, passed on from her
    browser, it is her opt-out of sale and sharing, too.
    """
    item = await call.read(_ITEM)
    (event_id,) = await _ids(call, 1)
    ask = EventAsk(call.tenant_id, event_id, item, call.trip.traceparent)
    await call.services.recorder.submit(ask)
    await heed_passed_signal(call, item.user_id)
    return json_reply(EventRecorded(format_id(event_id)), 202)


@route(
    "POST /api/v1/events/batch",
    Spec(
        tag="events",
        scope="events:write",
        body=_BATCH,
        answers={200: EventsRecorded},
        examples={
            "body": {"events": [EXAMPLE]},
            "answer": {"results": [{"index": 0, "event_id": EVENT_ID}]},
        },
    ),
)
async def record_batch(call: Call) -> Reply:
    """Say up to 1000 things that users did. A wrong one stops no other."""
    raw_items = (await call.read(_BATCH)).events
    if not 1 <= len(raw_items) <= MAX_ITEMS:
        raise Invalid(f"has {len(raw_items)} items, where 1 to {MAX_ITEMS} can be taken at once", "events")
    await call.charge(len(raw_items) - 1)
    ids = await _ids(call, len(raw_items))
    items = [_decode(bytes(raw)) for raw in raw_items]
    asks = [
        EventAsk(call.tenant_id, event_id, item, call.trip.traceparent)
        for event_id, item in zip(ids, items, strict=True)
        if isinstance(item, EventItem)
    ]
    recorded = iter(await call.services.recorder.record(asks))
    results = [next(recorded) if isinstance(item, EventItem) else item for item in items]
    return json_reply(EventsRecorded([_result(i, result) for i, result in enumerate(results)]))


async def _ids(call: Call, count: int) -> list[bytes]:
    """The ids of a request's events: with an `Idempotency-Key`, the same each time it is sent."""
    claim = call.claim(await call.raw())
    if claim is None:
        return split_ids(make_ids(count, call.services.gateway.region.clock.now_ms()))
    principal = call.principal
    name = f"{principal.environment}:{claim.route}:{claim.key}".encode()
    return derive_event_ids(principal.tenant_id + claim.fingerprint + name, count)


def _decode(raw: bytes) -> EventItem | Invalid:
    try:
        return _ITEM.decode(raw)
    except Invalid as error:
        return error


def _result(index: int, result: EventAsk | ClarionError) -> EventResult:
    if isinstance(result, ClarionError):
        return EventResult(index, error=describe_error(result))
    return EventResult(index, format_id(result.event_id))


ROUTES: Final[tuple[Route, ...]] = (record_event, record_batch)
