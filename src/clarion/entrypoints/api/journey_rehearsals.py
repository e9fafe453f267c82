"""Rehearsals of journeys over HTTP: what would come of one, by the account's own settings. Nothing is sent or kept."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from clarion.contracts.commands import Name
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, JsonBody
from clarion.entrypoints.api.errors import JourneyFinding, as_findings
from clarion.entrypoints.api.journey_views import EXAMPLE
from clarion.entrypoints.api.journeys import find_journey
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.journeys.compile import compile_journey
from clarion.journeys.findings import Faulty
from clarion.journeys.rehearsal import Rehearsal, Result, Scenario
from clarion.journeys.rehearsal.stage import set_stage
from clarion.journeys.rehearsal.words import EventWords, HabitWords, RehearsalWords, StartWords, UserWords
from clarion.kernel.errors import Invalid, NotFound

MOST_USERS: Final = 500
"""Of one request. `clarion simulate` takes more, on a machine where nobody waits."""

MOST_DAYS: Final = 90
MOST_DONE: Final = 100_000
"""What users do in all, by habit or as events."""

LONGEST_S: Final = 20.0
TOLD: Final = 5
"""Users who are told of in full where nobody is named."""

_ROOM: Final = ThreadPoolExecutor(1, "rehearsal")
"""One at a time in a process: who sends messages goes first."""


class SimulateBody(RehearsalWords, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST …/simulate`. `definition`: one that is not saved; `version`: an older one of the journey."""

    definition: dict[str, Any] | None = None
    version: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    users: (
        Annotated[int, Meta(ge=1, le=MOST_USERS)] | Annotated[list[UserWords], Meta(max_length=MOST_USERS)]
    ) = 100
    days: Annotated[float, Meta(gt=0, le=MOST_DAYS)] = 30.0
    events: Annotated[list[EventWords], Meta(max_length=1000)] = msgspec.field(
        default_factory=list[EventWords]
    )
    habits: Annotated[list[HabitWords], Meta(max_length=20)] = msgspec.field(default_factory=list[HabitWords])
    starts: Annotated[list[StartWords], Meta(max_length=1000)] = msgspec.field(
        default_factory=list[StartWords]
    )
    details: Annotated[list[Name], Meta(max_length=50)] = msgspec.field(default_factory=list[str])


class Simulated(msgspec.Struct, frozen=True):
    """What would come of it, and what is to be said of the definition."""

    result: Result
    findings: list[JourneyFinding]


_BODY: Final = JsonBody(SimulateBody, max_bytes=MAX_BATCH_BYTES)
_WORDS: Final = {"users": 50, "days": 14, "start": "2026-11-23T09:00:00Z", "seed": 1}


@route(
    "POST /api/v1/journeys/{journey_id}/simulate",
    Spec(
        tag="journeys",
        scope="journeys:read",
        body=_BODY,
        answers={200: Simulated},
        problems=(404,),
        examples={"body": _WORDS},
    ),
)
async def simulate_journey(call: Call) -> Reply:
    """Rehearse a journey: a month in seconds, by the same engine and rules, with nobody told.

    Answers what each user would get and why, volumes by hour, cost, and what is held back. A `definition` in the body
    is rehearsed in place of the journey's own.
    """
    words = await call.read(_BODY)
    record = await find_journey(call)
    definition = words.definition
    if definition is None:
        number = words.version or record.live_version
        (found,) = await call.services.journeys.store.versions([(record.journey_id, number)])
        if found is None:
            raise NotFound(f"no version {number} of {record.name!r}")
        definition = json.loads(found.definition)
    return await _simulate(call, definition, words, record.journey_id)


@route(
    "POST /api/v1/journeys/simulate",
    Spec(
        tag="journeys",
        scope="journeys:read",
        body=_BODY,
        answers={200: Simulated},
        examples={"body": {**_WORDS, "definition": EXAMPLE}},
    ),
)
async def simulate_definition(call: Call) -> Reply:
    """Rehearse a journey that is not saved, as `definition` has it."""
    words = await call.read(_BODY)
    if words.definition is None:
        raise Invalid("is what is rehearsed: add it", "definition")
    return await _simulate(call, words.definition, words, bytes(16))


async def _simulate(call: Call, definition: dict[str, Any], words: SimulateBody, journey_id: bytes) -> Reply:
    compiled = compile_journey(definition)
    if compiled.graph is None:
        raise Faulty(compiled.findings)
    gateway = call.services.gateway
    config = await gateway.accept.configs.get(call.tenant_id)
    scenario = set_stage(compiled.graph, config, _told(words), gateway.region.clock.now_ms())
    result = await asyncio.get_running_loop().run_in_executor(
        _ROOM, _rehearse, replace(scenario, journey_id=journey_id)
    )
    return json_reply(Simulated(result, as_findings(compiled.findings)))


def _told(words: SimulateBody) -> SimulateBody:
    """The words within bounds, with the users who are told of. Raises Invalid."""
    users = words.users
    names = [f"user-{n}" for n in range(1, users + 1)] if isinstance(users, int) else [u.id for u in users]
    done = {
        "habits": sum(habit.per_day for habit in words.habits) * words.days * len(names),
        "events": sum(1 if event.user else len(names) for event in words.events),
    }
    for path, times in done.items():
        if times > MOST_DONE:
            raise Invalid(f"they would do {times:,.0f} things, of {MOST_DONE:,} at most", path)
    return words if words.details else replace(words, details=names[:TOLD])


def _rehearse(scenario: Scenario) -> Result:
    rehearsal, until = Rehearsal(scenario), time.monotonic() + LONGEST_S
    while rehearsal.step():
        if time.monotonic() > until:
            raise Invalid("is too much for one request: fewer, or `clarion simulate`", "users")
    return rehearsal.result()


ROUTES: Final[tuple[Route, ...]] = (simulate_definition, simulate_journey)
