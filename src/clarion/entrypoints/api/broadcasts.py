"""Broadcasts: asked for, watched, steered."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from clarion.adapters.postgres.broadcasts import BroadcastRecord
from clarion.contracts.broadcasts import BroadcastRequest
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, JsonBody, check_tree
from clarion.entrypoints.api.broadcast_views import (
    EXAMPLE,
    BroadcastAccepted,
    BroadcastList,
    BroadcastParameters,
    BroadcastView,
    as_line,
    as_rehearsal,
    as_view,
)
from clarion.entrypoints.api.environments import keep_live
from clarion.entrypoints.api.replies import Reply, encode_json, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Conflict, Invalid, NotFound, Unknown
from clarion.kernel.ids import UUID_BYTES, format_id, make_ids, parse_id
from clarion.kernel.text import check_storable
from clarion.orchestration.broadcasts import Plan, Source, Timing, check_broadcast, message_of
from clarion.orchestration.data_check import Asking, hold_data
from clarion.tenancy.model import TEST

_BODY: Final = JsonBody(BroadcastRequest, max_bytes=MAX_BATCH_BYTES, envelope=True)
_ALL: Final = b"\xff" * UUID_BYTES
_READ: Final = "broadcasts:read"
_WRITE: Final = "broadcasts:write"


@route(
    "POST /api/v1/broadcasts",
    Spec(
        tag="broadcasts",
        scope=_WRITE,
        body=_BODY,
        answers={202: BroadcastAccepted},
        examples={"body": EXAMPLE},
    ),
)
async def create_broadcast(call: Call) -> Reply:
    """Send one message to a segment, a list of users, or everybody.

    The audience is fixed now; each member is decided about when her turn comes. With `dry_run` nothing is sent.
    """
    raw = await call.raw()
    request = _BODY.decode(raw)
    _check_values(request)
    gateway = call.services.gateway
    now_ms = gateway.region.clock.now_ms()
    config = await gateway.accept.configs.get(call.tenant_id)
    timing, checked = check_broadcast(request, config, now_ms)
    (wrong,) = (
        await hold_data([Asking(call.tenant_id, checked)], gateway.accept.schemas)
        if checked.template.has_schema
        else (None,)
    )
    if wrong is not None:
        raise wrong
    plan = await _plan(call, request, timing, now_ms)
    claim = call.claim(raw)
    mark = claim and hashlib.sha256(f"{claim.route} {claim.key}".encode()).digest()
    broadcast_id = await gateway.region.broadcasts.create(plan, mark)
    return json_reply(BroadcastAccepted(format_id(broadcast_id), "collecting"), 202)


def _check_values(request: BroadcastRequest) -> None:
    """Raises Invalid on what cannot be stored. The list may be longer than other lists are."""
    check_storable(request.user_ids, "user_ids")
    check_tree(encode_json(msgspec.structs.replace(request, user_ids=None)))


async def _plan(call: Call, request: BroadcastRequest, timing: Timing, now_ms: int) -> Plan:
    return Plan(
        broadcast_id=make_ids(1, now_ms),
        tenant_id=call.tenant_id,
        environment=call.principal.environment,
        name=request.name,
        rehearsal=request.dry_run,
        source=await _source(call, request),
        message=message_of(request),
        timing=timing,
        rate_per_s=request.rate_per_s or 0.0,
        names=list(dict.fromkeys(request.user_ids or ())),
    )


async def _source(call: Call, request: BroadcastRequest) -> Source:
    if request.segment is None:
        return Source("all" if request.user_ids is None else "list")
    try:
        segment = await call.services.gateway.region.audience.resolve(call.tenant_id, request.segment)
    except NotFound:
        raise Unknown(f"no segment {request.segment!r}", "segment") from None
    return Source("segment", segment)


@route(
    "GET /api/v1/broadcasts",
    Spec(tag="broadcasts", scope=_READ, rate="read", query=BroadcastParameters, answers={200: BroadcastList}),
)
async def list_broadcasts(call: Call) -> Reply:
    """Broadcasts, newest first."""
    wanted = call.query(BroadcastParameters)
    before = _ALL if wanted.cursor is None else parse_id(wanted.cursor)
    if before is None:
        raise Invalid("is no cursor: take `next_cursor` of the page before as it is", "cursor")
    region = call.services.gateway.region
    found = await region.broadcasts.list(call.tenant_id, before, wanted.limit + 1)
    page, now_ms = found[: wanted.limit], region.clock.now_ms()
    cursor = format_id(page[-1].broadcast_id) if len(found) > wanted.limit else None
    return json_reply(BroadcastList([as_line(record, now_ms) for record in page], cursor))


@route(
    "GET /api/v1/broadcasts/{broadcast_id}",
    Spec(tag="broadcasts", scope=_READ, rate="read", answers={200: BroadcastView}),
)
async def get_broadcast(call: Call) -> Reply:
    """A broadcast with its books; a dry run with what it would come to."""
    return json_reply(await _view(call, await _read(call)))


@route(
    "POST /api/v1/broadcasts/{broadcast_id}/pause",
    Spec(tag="broadcasts", scope=_WRITE, answers={200: BroadcastView}),
)
async def pause_broadcast(call: Call) -> Reply:
    """Accept no further members until it is resumed.

    Whoever was accepted before, at most some seconds' worth, still gets her message; whom a rule deferred, or whose
    best hour is later, at that hour. Its audience stays as it is. Cancelling takes back what waits.
    """
    record = await _read_to_steer(call)
    done = await call.services.gateway.region.broadcasts.hold(call.tenant_id, record.broadcast_id)
    return await _steered(call, record, done=done)


@route(
    "POST /api/v1/broadcasts/{broadcast_id}/resume",
    Spec(tag="broadcasts", scope=_WRITE, answers={200: BroadcastView}),
)
async def resume_broadcast(call: Call) -> Reply:
    """Go on where it was paused."""
    record = await _read_to_steer(call)
    done = await call.services.gateway.region.broadcasts.resume(call.tenant_id, record.broadcast_id)
    return await _steered(call, record, done=done)


@route(
    "POST /api/v1/broadcasts/{broadcast_id}/cancel",
    Spec(tag="broadcasts", scope=_WRITE, answers={200: BroadcastView}),
)
async def cancel_broadcast(call: Call) -> Reply:
    """Stop for good.

    No further member is accepted; what is accepted and waits is taken back within a moment.
    """
    record = await _read_to_steer(call)
    done = await call.services.gateway.region.broadcasts.cancel(call.tenant_id, record.broadcast_id)
    return await _steered(call, record, done=done)


async def _read(call: Call) -> BroadcastRecord:
    broadcast_id = parse_id(call.param("broadcast_id"))
    record = broadcast_id and await call.services.gateway.region.broadcasts.read(call.tenant_id, broadcast_id)
    if not record:
        raise NotFound("there is no such broadcast")
    return record


async def _read_to_steer(call: Call) -> BroadcastRecord:
    record = await _read(call)
    keep_live(call, is_test=record.environment == TEST)
    return record


async def _steered(call: Call, record: BroadcastRecord, *, done: bool) -> Reply:
    if not done:
        raise Conflict(f"this broadcast is {record.stage}: there is nothing to pause, resume or cancel")
    return json_reply(await _view(call, await _read(call)))


async def _view(call: Call, record: BroadcastRecord) -> BroadcastView:
    region = call.services.gateway.region
    broadcasts, ident, now_ms = region.broadcasts, record.broadcast_id, region.clock.now_ms()
    reasons = await broadcasts.reasons(call.tenant_id, ident)
    if record.rehearsal:
        return as_rehearsal(record, await broadcasts.forecast(call.tenant_id, ident), reasons, now_ms)
    return as_view(record, await broadcasts.balance(call.tenant_id, ident), reasons, now_ms)


ROUTES: Final[tuple[Route, ...]] = (
    create_broadcast,
    list_broadcasts,
    get_broadcast,
    pause_broadcast,
    resume_broadcast,
    cancel_broadcast,
)
