"""Journeys: drawn, published, triggered, steered."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from clarion.contracts.channels import CHANNELS, names_of
from clarion.entrypoints.api.auditing import actor_of
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, MAX_ITEMS, JsonBody
from clarion.entrypoints.api.environments import keep_live
from clarion.entrypoints.api.errors import as_findings
from clarion.entrypoints.api.journey_views import (
    EXAMPLE,
    JourneyList,
    JourneyPublished,
    JourneyVersionList,
    JourneyVersionView,
    JourneyView,
    Number,
    StandingView,
    TriggerAnswer,
    TriggerBatch,
    TriggerBody,
    TriggerResult,
    TriggerResults,
    TriggersRequest,
    as_line,
    as_version,
)
from clarion.entrypoints.api.replies import Reply, encode_json, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.journey_steering import wake
from clarion.journeys.compile import MAX_DEPTH, Compiled, compile_journey
from clarion.journeys.findings import Faulty, Finding
from clarion.journeys.known import Known, KnownTemplate
from clarion.journeys.model import JourneyStatus
from clarion.journeys.ports import JourneyRecord, JourneyVersion
from clarion.journeys.trigger import Begun, EntryAsk
from clarion.kernel.errors import ClarionError, Conflict, Invalid, NotFound
from clarion.kernel.ids import format_id, make_ids
from clarion.kernel.text import check_storable
from clarion.orchestration.rows import describe_error
from clarion.tenancy.model import TEST

READ: Final = "journeys:read"
WRITE: Final = "journeys:write"
MAX_SEGMENTS: Final = 1_000
"""Segments that are read to find missing ones; a tenant with more is not told."""


class DefinitionBody(JsonBody[dict[str, Any]]):
    """Any JSON object that can be kept; what it means, the compiler says. Steps within steps are deep."""

    def __init__(self) -> None:
        super().__init__(dict[str, Any], envelope=True)

    def decode(self, raw: bytes) -> dict[str, Any]:
        """The object. Raises Invalid with the path of what is wrong."""
        value = super().decode(raw)
        check_storable(value, "", MAX_DEPTH)
        return value


class PublishParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`expected_version`: publish over this version only. `note`: why, for the list of versions."""

    expected_version: Number | None = None
    note: Annotated[str, Meta(max_length=200)] = ""


_DEFINITION: Final = DefinitionBody()
_TRIGGER: Final = JsonBody(TriggerBody)
_BATCH: Final = JsonBody(TriggersRequest, max_bytes=MAX_BATCH_BYTES, envelope=True, shown=TriggerBatch)


@route(
    "POST /api/v1/journeys",
    Spec(
        tag="journeys",
        scope=WRITE,
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
    compiled = await compile_for(call, raw)
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
    Spec(tag="journeys", scope=READ, rate="read", answers={200: JourneyList}),
)
async def list_journeys(call: Call) -> Reply:
    """All journeys, by name."""
    return json_reply(
        JourneyList([as_line(record) for record in await call.services.journeys.store.list(call.tenant_id)])
    )


@route(
    "GET /api/v1/journeys/{journey_id}",
    Spec(tag="journeys", scope=READ, rate="read", answers={200: JourneyView}),
)
async def get_journey(call: Call) -> Reply:
    """A journey, by its id or name, with the definition of its live version."""
    record = await find_journey(call)
    parts = call.services.journeys
    (version,) = await parts.store.versions([(record.journey_id, record.live_version)])
    definition: dict[str, Any] = {} if version is None else json.loads(version.definition)
    compiled = await compile_for(call, definition, refuse=False)
    line = as_line(record)
    return json_reply(
        JourneyView(
            **msgspec.structs.asdict(line),
            definition=definition,
            findings=as_findings(compiled.findings),
            running=await _standing(call, record),
        )
    )


@route(
    "PUT /api/v1/journeys/{journey_id}",
    Spec(
        tag="journeys",
        scope=WRITE,
        body=_DEFINITION,
        query=PublishParameters,
        answers={200: JourneyPublished},
        problems=(409,),
        examples={"body": EXAMPLE},
    ),
)
async def publish_journey(call: Call) -> Reply:
    """Publish a new version.

    New runs take it; those that run stay on theirs, and `running` says how many stand where. The definition that is
    live already makes no version.
    """
    keep_live(call, is_test=False)
    record, wanted = await find_journey(call), call.query(PublishParameters)
    raw = await call.read(_DEFINITION)
    if wanted.expected_version not in {None, record.live_version}:
        raise Conflict(
            f"version {record.live_version} is live, not {wanted.expected_version}: look at it first"
        )
    compiled = await compile_for(call, raw)
    parts, clock = call.services.journeys, call.services.gateway.region.clock
    (live,) = await parts.store.versions([(record.journey_id, record.live_version)])
    if live is None or json.loads(live.definition) != raw:
        by, number = actor_of(call.principal), record.live_version + 1
        version = JourneyVersion(record.journey_id, number, encode_json(raw), clock.now_ms(), by, wanted.note)
        made = await parts.store.publish(replace(record, name=_name(compiled)), version)
        if made is None:
            raise Conflict(
                "somebody else published a version at this moment, or has a journey of this name: look first"
            )
        record = replace(record, name=_name(compiled), live_version=made)
        parts.catalog.forget(call.tenant_id)
    return json_reply(_published(record, compiled.findings, await _standing(call, record)))


@route(
    "GET /api/v1/journeys/{journey_id}/versions",
    Spec(tag="journeys", scope=READ, rate="read", answers={200: JourneyVersionList}),
)
async def list_journey_versions(call: Call) -> Reply:
    """All versions, newest first."""
    record = await find_journey(call)
    history = await call.services.journeys.store.history(call.tenant_id, record.journey_id)
    return json_reply(JourneyVersionList([as_version(version, record) for version in history]))


@route(
    "GET /api/v1/journeys/{journey_id}/versions/{version}",
    Spec(tag="journeys", scope=READ, rate="read", answers={200: JourneyVersionView}),
)
async def get_journey_version(call: Call) -> Reply:
    """One version with its definition."""
    record = await find_journey(call)
    number = call.param("version")
    found = None
    if number.isascii() and number.isdigit() and len(number) <= 9:  # noqa: PLR2004  what the store's type holds
        (found,) = await call.services.journeys.store.versions([(record.journey_id, int(number))])
    if found is None:
        raise NotFound(f"no version {number} of {record.name!r}")
    line = as_version(found, record)
    return json_reply(
        JourneyVersionView(**msgspec.structs.asdict(line), definition=json.loads(found.definition))
    )


@route(
    "POST /api/v1/journeys/{journey_id}/pause",
    Spec(tag="journeys", scope=WRITE, answers={200: JourneyPublished}),
)
async def pause_journey(call: Call) -> Reply:
    """Hold all runs where they stand. Entries are taken and wait; events and exits are heeded."""
    return await _steer(call, "paused")


@route(
    "POST /api/v1/journeys/{journey_id}/resume",
    Spec(tag="journeys", scope=WRITE, answers={200: JourneyPublished}),
)
async def resume_journey(call: Call) -> Reply:
    """Go on after a pause, or take users in again. What became due meanwhile is done now."""
    return await _steer(call, "active")


@route(
    "POST /api/v1/journeys/{journey_id}/drain",
    Spec(tag="journeys", scope=WRITE, answers={200: JourneyPublished}),
)
async def drain_journey(call: Call) -> Reply:
    """Take nobody in any more; those who are in it go on to their ends."""
    return await _steer(call, "draining")


@route(
    "POST /api/v1/journeys/{journey_id}/stop",
    Spec(tag="journeys", scope=WRITE, answers={200: JourneyPublished}),
)
async def stop_journey(call: Call) -> Reply:
    """End all runs where they stand, and take back their messages that have not gone out."""
    return await _steer(call, "stopped")


@route(
    "POST /api/v1/journeys/{journey_id}/trigger",
    Spec(
        tag="journeys",
        scope=WRITE,
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
        scope=WRITE,
        body=_BATCH,
        answers={201: TriggerResults},
        problems=(404,),
        examples={"body": {"users": [{"user_id": "ada"}]}},
    ),
)
async def trigger_many(call: Call) -> Reply:
    """Let up to 1000 users enter; a wrong one stops no other."""
    raw = await call.raw()
    users = _BATCH.decode(raw).users
    if not 1 <= len(users) <= MAX_ITEMS:
        raise Invalid(f"has {len(users)} items, where 1 to {MAX_ITEMS} can be taken at once", "users")
    await find_journey(call)
    await call.charge(len(users) - 1)
    asks = [_read_ask(call, bytes(user), _entry_key(call, raw, i)) for i, user in enumerate(users)]
    entered = iter(await call.services.entries.enter([ask for ask in asks if isinstance(ask, EntryAsk)]))
    results = [next(entered) if isinstance(ask, EntryAsk) else ask for ask in asks]
    return json_reply(TriggerResults([_result(i, result) for i, result in enumerate(results)]), 201)


def _result(index: int, result: Begun | ClarionError) -> TriggerResult:
    if isinstance(result, ClarionError):
        return TriggerResult(index, error=describe_error(result))
    return TriggerResult(index, format_id(result.instance_id))


def _read_ask(call: Call, raw: bytes, entry_key: bytes) -> EntryAsk | Invalid:
    """One entry of a batch, or what is wrong with it."""
    try:
        return _ask(call, _TRIGGER.decode(raw), entry_key)
    except Invalid as error:
        return error


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
    if status in {"active", "stopped"}:
        now_ms = call.services.gateway.region.clock.now_ms()
        await wake(parts, record.journey_id, now_ms, due_only=status == "active")
    record = replace(record, status=status)
    return json_reply(_published(record, (), await _standing(call, record)))


async def compile_for(call: Call, raw: dict[str, Any], *, refuse: bool = True) -> Compiled:
    """A definition against what the tenant has. Raises Faulty."""
    # In a thread: a large definition takes a part of a second, in which others' requests go on.
    compiled = await asyncio.to_thread(compile_journey, raw, await known_of(call))
    if compiled.graph is None and refuse:
        raise Faulty(compiled.findings)
    return compiled


async def known_of(call: Call) -> Known:
    """What the caller's tenant has that a definition may name."""
    config = await call.services.gateway.accept.configs.get(call.tenant_id)
    journeys = await call.services.journeys.store.list(call.tenant_id)
    segments = await call.services.gateway.region.segments.store.list(call.tenant_id, "", MAX_SEGMENTS)
    return Known(
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
        segments=frozenset(one.name for one in segments) if len(segments) < MAX_SEGMENTS else None,
    )


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
        as_findings(findings),
        running,
    )


ROUTES: Final[tuple[Route, ...]] = (
    create_journey,
    list_journeys,
    get_journey,
    publish_journey,
    list_journey_versions,
    get_journey_version,
    trigger_journey,
    trigger_many,
    pause_journey,
    resume_journey,
    drain_journey,
    stop_journey,
)
