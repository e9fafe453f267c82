"""Journeys: drawn, published, triggered, steered."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from clarion.contracts.channels import CHANNELS, names_of
from clarion.entrypoints.api.auditing import actor_of
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, JsonBody, check_tree
from clarion.entrypoints.api.environments import keep_live
from clarion.entrypoints.api.journey_views import (
    EXAMPLE,
    JourneyList,
    JourneyPublished,
    JourneyView,
    StandingView,
    TriggerAnswer,
    TriggerBatch,
    TriggerBody,
    TriggerResult,
    TriggerResults,
    VersionList,
    VersionView,
    as_line,
    as_version,
)
from clarion.entrypoints.api.replies import Reply, encode_json, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.journeys.compile import Compiled, compile_journey
from clarion.journeys.findings import Faulty, Finding
from clarion.journeys.known import Known, KnownTemplate
from clarion.journeys.model import JourneyStatus
from clarion.journeys.ports import JourneyRecord, JourneyVersion, Planned
from clarion.journeys.trigger import Begun, EntryAsk
from clarion.kernel.errors import ClarionError, Conflict, NotFound
from clarion.kernel.ids import format_id, make_ids
from clarion.kernel.text import check_storable
from clarion.tenancy.model import TEST

_DEFINITION: Final = JsonBody(dict[str, Any])
_TRIGGER: Final = JsonBody(TriggerBody)
_BATCH: Final = JsonBody(TriggerBatch, max_bytes=MAX_BATCH_BYTES, envelope=True)
_READ: Final = "journeys:read"
_WRITE: Final = "journeys:write"
WAKE_PAGE: Final = 1_000


@route(
    "POST /api/v1/journeys",
    Spec(
        tag="journeys",
        scope=_WRITE,
        body=_DEFINITION,
        answers={201: JourneyPublished},
        problems=(409,),
        examples={"body": EXAMPLE},
    ),
)
async def create_journey(call: Call) -> Reply:
    """Draw a journey and publish its first version.

    What cannot run is refused, each mistake with its place; what is only doubtful is said in `findings`.
    """
    keep_live(call, is_test=False)
    raw = await call.read(_DEFINITION)
    compiled = await _compile(call, raw)
    parts, clock = call.services.journeys, call.services.gateway.region.clock
    now_ms = clock.now_ms()
    record = JourneyRecord(make_ids(1, now_ms), call.tenant_id, _name(compiled), "active", 1, now_ms, now_ms)
    version = JourneyVersion(record.journey_id, 1, encode_json(raw), now_ms, actor_of(call.principal))
    if not await parts.store.create(record, version):
        raise Conflict(f"there is a journey {record.name!r}: publish a new version of it by PUT")
    parts.catalog.forget(call.tenant_id)
    return json_reply(_published(record, compiled.findings, []), 201)


@route(
    "GET /api/v1/journeys",
    Spec(tag="journeys", scope=_READ, rate="read", answers={200: JourneyList}),
)
async def list_journeys(call: Call) -> Reply:
    """All journeys, by name."""
    return json_reply(
        JourneyList([as_line(record) for record in await call.services.journeys.store.list(call.tenant_id)])
    )


@route(
    "GET /api/v1/journeys/{journey_id}",
    Spec(tag="journeys", scope=_READ, rate="read", answers={200: JourneyView}),
)
async def get_journey(call: Call) -> Reply:
    """A journey, by its id or name, with the definition of its live version."""
    record = await find_journey(call)
    parts = call.services.journeys
    (version,) = await parts.store.versions([(record.journey_id, record.live_version)])
    definition: dict[str, Any] = {} if version is None else json.loads(version.definition)
    compiled = await _compile(call, definition, refuse=False)
    line = as_line(record)
    return json_reply(
        JourneyView(
            **msgspec.structs.asdict(line),
            definition=definition,
            findings=list(compiled.findings),
            running=await _standing(call, record),
        )
    )


@route(
    "PUT /api/v1/journeys/{journey_id}",
    Spec(
        tag="journeys",
        scope=_WRITE,
        body=_DEFINITION,
        answers={200: JourneyPublished},
        examples={"body": EXAMPLE},
    ),
)
async def publish_journey(call: Call) -> Reply:
    """Publish a new version.

    New runs take it; those that run stay on theirs, and `running` says how many stand where. The definition that is
    live already makes no version.
    """
    keep_live(call, is_test=False)
    record = await find_journey(call)
    raw = await call.read(_DEFINITION)
    compiled = await _compile(call, raw)
    parts, clock = call.services.journeys, call.services.gateway.region.clock
    (live,) = await parts.store.versions([(record.journey_id, record.live_version)])
    definition = encode_json(raw)
    if live is None or live.definition != definition:
        record = replace(record, name=_name(compiled))
        version = JourneyVersion(record.journey_id, 0, definition, clock.now_ms(), actor_of(call.principal))
        number = await parts.store.publish(record, version)
        if number is None:
            raise NotFound(f"no journey {record.name!r}")
        record = replace(record, live_version=number)
        parts.catalog.forget(call.tenant_id)
    return json_reply(_published(record, compiled.findings, await _standing(call, record)))


@route(
    "GET /api/v1/journeys/{journey_id}/versions",
    Spec(tag="journeys", scope=_READ, rate="read", answers={200: VersionList}),
)
async def list_versions(call: Call) -> Reply:
    """All versions, newest first."""
    record = await find_journey(call)
    history = await call.services.journeys.store.history(call.tenant_id, record.journey_id)
    return json_reply(VersionList([as_version(version, record) for version in history]))


@route(
    "GET /api/v1/journeys/{journey_id}/versions/{version}",
    Spec(tag="journeys", scope=_READ, rate="read", answers={200: VersionView}),
)
async def get_version(call: Call) -> Reply:
    """One version with its definition."""
    record = await find_journey(call)
    number = call.param("version")
    found = None
    if number.isascii() and number.isdigit() and len(number) <= 9:  # noqa: PLR2004  what the store's type holds
        (found,) = await call.services.journeys.store.versions([(record.journey_id, int(number))])
    if found is None:
        raise NotFound(f"no version {number} of {record.name!r}")
    line = as_version(found, record)
    return json_reply(VersionView(**msgspec.structs.asdict(line), definition=json.loads(found.definition)))


@route(
    "POST /api/v1/journeys/{journey_id}/pause",
    Spec(tag="journeys", scope=_WRITE, answers={200: JourneyPublished}),
)
async def pause_journey(call: Call) -> Reply:
    """Hold all runs where they stand. Entries are taken and wait; events and exits are heeded."""
    return await _steer(call, "paused")


@route(
    "POST /api/v1/journeys/{journey_id}/resume",
    Spec(tag="journeys", scope=_WRITE, answers={200: JourneyPublished}),
)
async def resume_journey(call: Call) -> Reply:
    """Go on after a pause, or take users in again. What became due meanwhile is done now."""
    return await _steer(call, "active")


@route(
    "POST /api/v1/journeys/{journey_id}/drain",
    Spec(tag="journeys", scope=_WRITE, answers={200: JourneyPublished}),
)
async def drain_journey(call: Call) -> Reply:
    """Take nobody in any more; those who are in it go on to their ends."""
    return await _steer(call, "draining")


@route(
    "POST /api/v1/journeys/{journey_id}/stop",
    Spec(tag="journeys", scope=_WRITE, answers={200: JourneyPublished}),
)
async def stop_journey(call: Call) -> Reply:
    """End all runs where they stand, and take back their messages that have not gone out."""
    reply = await _steer(call, "stopped")
    await _wake(call, await find_journey(call))
    return reply


@route(
    "POST /api/v1/journeys/{journey_id}/trigger",
    Spec(
        tag="journeys",
        scope=_WRITE,
        body=_TRIGGER,
        answers={201: TriggerAnswer},
        problems=(404, 409, 422),
        examples={"body": {"user_id": "ada", "context": {"plan": "pro"}}},
    ),
)
async def trigger_journey(call: Call) -> Reply:
    """Let a user enter.

    Durable when it is answered. Somebody who is in the journey gets her present run; with an `Idempotency-Key` a
    repeat gets the run that it began.
    """
    raw = await call.raw()
    ask = _ask(call, _TRIGGER.decode(raw), _entry_key(call, raw, 0))
    result = await call.services.entries.submit(ask)
    return json_reply(TriggerAnswer(format_id(result.instance_id)), 201)


@route(
    "POST /api/v1/journeys/{journey_id}/trigger/batch",
    Spec(
        tag="journeys",
        scope=_WRITE,
        body=_BATCH,
        answers={201: TriggerResults},
        problems=(404,),
        examples={"body": {"users": [{"user_id": "ada"}]}},
    ),
)
async def trigger_many(call: Call) -> Reply:
    """Let up to 1000 users enter; a wrong one stops no other."""
    raw = await call.raw()
    batch = _BATCH.decode(raw)
    check_tree(encode_json(msgspec.structs.replace(batch, users=[])))
    await find_journey(call)
    await call.charge(len(batch.users))
    asks = [_ask(call, user, _entry_key(call, raw, i)) for i, user in enumerate(batch.users)]
    results = await call.services.entries.enter(asks)
    return json_reply(TriggerResults([_result(i, result) for i, result in enumerate(results)]), 201)


def _result(index: int, result: Begun | ClarionError) -> TriggerResult:
    if isinstance(result, ClarionError):
        return TriggerResult(index, error=result.detail)
    return TriggerResult(index, format_id(result.instance_id))


def _ask(call: Call, body: TriggerBody, entry_key: bytes) -> EntryAsk:
    check_storable(body.user_id, "user_id")
    check_storable(body.context, "context")
    return EntryAsk(
        tenant_id=call.tenant_id,
        journey=call.param("journey_id"),
        external_id=body.user_id,
        context=body.context,
        is_test=call.principal.environment == TEST,
        entry_key=entry_key,
    )


def _entry_key(call: Call, raw: bytes, index: int) -> bytes:
    """What makes a second ask a repeat: the caller's key, which names this journey's entry for ever."""
    claim = call.claim(raw)
    if claim is None:
        return b""
    clear = f"{call.principal.environment} {claim.route} {claim.key} {index}".encode()
    return hashlib.blake2b(clear, digest_size=16).digest()


async def find_journey(call: Call) -> JourneyRecord:
    """The journey that the path names, by id or name. Raises NotFound."""
    name = call.param("journey_id")
    record = await call.services.journeys.store.find(call.tenant_id, name)
    if record is None:
        raise NotFound(f"no journey {name!r}")
    return record


async def _steer(call: Call, status: JourneyStatus) -> Reply:
    keep_live(call, is_test=False)
    record = await find_journey(call)
    parts = call.services.journeys
    await parts.store.set_status(call.tenant_id, record.journey_id, status)
    parts.catalog.forget(call.tenant_id)
    record = replace(record, status=status)
    return json_reply(_published(record, (), await _standing(call, record)))


async def _wake(call: Call, record: JourneyRecord) -> None:
    """Let every active run be looked at now: it then ends."""
    parts, now_ms = call.services.journeys, call.services.gateway.region.clock.now_ms()
    after = bytes(16)
    while page := await parts.runs.page_active(record.journey_id, after, WAKE_PAGE):
        await parts.continuations.schedule([Planned(ident, now_ms, seq) for ident, _, seq in page])
        after = page[-1][0]


async def _compile(call: Call, raw: dict[str, Any], *, refuse: bool = True) -> Compiled:
    """A definition against what the tenant has. Raises Faulty."""
    config = await call.services.gateway.accept.configs.get(call.tenant_id)
    journeys = await call.services.journeys.store.list(call.tenant_id)
    known = Known(
        templates={
            name: KnownTemplate(
                frozenset(one for one in CHANNELS if one in names_of(info.channels)), info.category
            )
            for name, info in config.templates.items()
        },
        categories=frozenset(config.categories),
        journeys=frozenset(
            name for record in journeys for name in (record.name, format_id(record.journey_id))
        ),
    )
    compiled = compile_journey(raw, known)
    if compiled.graph is None and refuse:
        raise Faulty(compiled.findings)
    return compiled


def _name(compiled: Compiled) -> str:
    return "" if compiled.graph is None else compiled.graph.name


async def _standing(call: Call, record: JourneyRecord) -> list[StandingView]:
    found = await call.services.journeys.runs.standing(call.tenant_id, record.journey_id)
    return [StandingView(*one) for one in found]


def _published(
    record: JourneyRecord, findings: tuple[Finding, ...], running: list[StandingView]
) -> JourneyPublished:
    return JourneyPublished(
        format_id(record.journey_id),
        record.name,
        record.status,
        record.live_version,
        list(findings),
        running,
    )


ROUTES: Final[tuple[Route, ...]] = (
    create_journey,
    list_journeys,
    get_journey,
    publish_journey,
    list_versions,
    get_version,
    pause_journey,
    resume_journey,
    drain_journey,
    stop_journey,
    trigger_journey,
    trigger_many,
)
