"""Moving runs to another version of their journey: tried, begun, watched, taken back."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clarion.entrypoints.api.auditing import actor_of
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.environments import keep_live
from clarion.entrypoints.api.journey_views import Number
from clarion.entrypoints.api.journeys import READ, WRITE, find_journey
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.journeys.graph import Graph
from clarion.journeys.migrate import How, Plan, plan_migration
from clarion.journeys.migrations import MigrationRecord, MigrationStatus, PlanNote
from clarion.journeys.ports import JourneyRecord
from clarion.kernel.errors import Conflict, Invalid, NotFound, Unknown
from clarion.kernel.ids import format_id, make_ids, parse_id
from clarion.kernel.text import check_storable
from clarion.orchestration.rows import format_time

Share = Annotated[int, Meta(ge=1, le=100)]
StepName = Annotated[str, Meta(min_length=1, max_length=200)]


class MigrationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST …/migrations`. `to_version`: the live one where it is left out.

    `steps`: where runs at an old step go on in the new version; null: they leave. What is not named goes on at the step
    of the same id; where that is gone, at the nearest step after it that the run has not been to; else it leaves.
    `percent`: of all users, always the same ones, so that a share can grow. `dry_run`: only say what would become.
    """

    from_version: Number
    to_version: Number | None = None
    steps: dict[StepName, StepName | None] = {}
    percent: Share = 100
    dry_run: bool = False
    note: Annotated[str, Meta(max_length=200)] = ""


class WayView(msgspec.Struct, frozen=True):
    """What becomes of runs at a step. `runs`: active ones there now, of all users.

    `how`: `same`, `mapped`, `successor` (the first of `to` that a run has not been to; none: it leaves) or `exit`.
    """

    step: str
    how: How
    to: list[str]
    runs: int


class MigrationView(msgspec.Struct, frozen=True):
    """A migration. `status`: dry_run, running, done, rolling_back or rolled_back.

    `moved`: runs that it changed, and took back. `left_alone`: active runs that stayed on the version, once it is over.
    `added`, `removed`, `changed`: steps in which the versions differ.
    """

    migration_id: str | None
    status: MigrationStatus | Literal["dry_run"]
    from_version: int
    to_version: int
    percent: int
    moved: int
    left_alone: int
    ways: list[WayView]
    added: list[str]
    removed: list[str]
    changed: list[str]
    note: str
    by: str
    created_at: str
    updated_at: str


class MigrationList(msgspec.Struct, frozen=True):
    """A journey's migrations, newest first, a hundred at most."""

    migrations: list[MigrationView]


_BODY: Final = JsonBody(MigrationRequest)
_EXAMPLE: Final[dict[str, Any]] = {"from_version": 1, "steps": {"nudge": "done"}, "dry_run": True}


@route(
    "POST /api/v1/journeys/{journey_id}/migrations",
    Spec(
        tag="journeys",
        scope=WRITE,
        body=_BODY,
        answers={200: MigrationView, 202: MigrationView},
        problems=(409, 422),
        examples={"body": _EXAMPLE},
    ),
)
async def migrate_journey(call: Call) -> Reply:
    """Move runs of an older version to a newer one, or say what would become of them.

    With `dry_run` nothing is changed: 200. Else runs are moved within seconds, each between two of its steps: 202.
    A run that waits at a step which both versions have goes on waiting as long as it was told.
    """
    keep_live(call, is_test=False)
    wanted, record = await call.read(_BODY), await find_journey(call)
    check_storable(wanted.note, "note")
    migration = await _plan(call, record, wanted)
    standing = await _standing(call, record, wanted.from_version)
    if wanted.dry_run:
        return json_reply(_view(migration, standing, is_dry=True))
    if not await call.services.migrations.create(migration):
        raise Conflict("another migration of this journey is under way: wait until it is done")
    return json_reply(_view(migration, standing), 202)


async def _plan(call: Call, record: JourneyRecord, wanted: MigrationRequest) -> MigrationRecord:
    """The migration that is asked for. Raises Invalid, Unknown."""
    to_version = wanted.to_version or record.live_version
    if wanted.from_version == to_version:
        raise Invalid("is the version to move to", "from_version")
    before = await _graph(call, record, wanted.from_version, "from_version")
    after = await _graph(call, record, to_version, "to_version")
    now_ms = call.services.gateway.region.clock.now_ms()
    plan: Plan = plan_migration(before, after, wanted.steps)
    return MigrationRecord(
        migration_id=make_ids(1, now_ms),
        tenant_id=call.tenant_id,
        journey_id=record.journey_id,
        from_version=wanted.from_version,
        to_version=to_version,
        plan=PlanNote(plan, wanted.note, actor_of(call.principal)),
        status="running",
        percent=wanted.percent,
        created_ms=now_ms,
        updated_ms=now_ms,
    )


async def _graph(call: Call, record: JourneyRecord, version: int, path: str) -> Graph:
    key = (record.journey_id, version)
    graph = (await call.services.journeys.catalog.graphs([key])).get(key)
    if graph is None:
        raise Unknown(f"there is no version {version} of it", path)
    return graph


@route(
    "GET /api/v1/journeys/{journey_id}/migrations",
    Spec(tag="journeys", scope=READ, rate="read", answers={200: MigrationList}),
)
async def list_migrations(call: Call) -> Reply:
    """A journey's migrations, newest first."""
    record = await find_journey(call)
    found = await call.services.migrations.list(call.tenant_id, record.journey_id)
    return json_reply(MigrationList([_view(one, Counter()) for one in found]))


@route(
    "GET /api/v1/journeys/{journey_id}/migrations/{migration_id}",
    Spec(tag="journeys", scope=READ, rate="read", answers={200: MigrationView}),
)
async def get_migration(call: Call) -> Reply:
    """How far a migration is, and where the runs stand that it has not moved."""
    migration = await _find(call)
    standing = await _standing(call, await find_journey(call), migration.from_version)
    return json_reply(_view(migration, standing))


@route(
    "POST /api/v1/journeys/{journey_id}/migrations/{migration_id}/rollback",
    Spec(tag="journeys", scope=WRITE, answers={202: MigrationView}),
)
async def roll_back_migration(call: Call) -> Reply:
    """Take a migration back.

    Runs that have done nothing since stand where they stood; those that went on go on at the step of the same id, where
    the old version has it. Ended runs stay ended.
    """
    keep_live(call, is_test=False)
    migration = await _find(call)
    now_ms = call.services.gateway.region.clock.now_ms()
    if not await call.services.migrations.roll_back(migration, now_ms):
        raise Conflict("it is taken back already, or another migration of this journey is under way")
    return json_reply(_view(await _find(call), Counter()), 202)


async def _find(call: Call) -> MigrationRecord:
    record, ident = await find_journey(call), parse_id(call.param("migration_id"))
    found = ident and await call.services.migrations.find(call.tenant_id, record.journey_id, ident)
    if not found:
        raise NotFound("there is no such migration of this journey")
    return found


async def _standing(call: Call, record: JourneyRecord, version: int) -> Counter[str]:
    standing = await call.services.journeys.runs.standing(call.tenant_id, record.journey_id)
    return Counter({step: runs for number, step, runs in standing if number == version})


def _view(migration: MigrationRecord, standing: Counter[str], *, is_dry: bool = False) -> MigrationView:
    plan = migration.plan.plan
    ways = [WayView(step, way.how, list(way.to), standing[step]) for step, way in plan.ways.items()]
    if standing[""]:
        ways.insert(0, WayView("", "same", [""], standing[""]))
    return MigrationView(
        migration_id=None if is_dry else format_id(migration.migration_id),
        status="dry_run" if is_dry else migration.status,
        from_version=migration.from_version,
        to_version=migration.to_version,
        percent=migration.percent,
        moved=migration.moved,
        left_alone=migration.left_alone,
        ways=ways,
        added=list(plan.added),
        removed=list(plan.removed),
        changed=list(plan.changed),
        note=migration.plan.note,
        by=migration.plan.by,
        created_at=format_time(migration.created_ms),
        updated_at=format_time(migration.updated_ms),
    )


ROUTES: Final[tuple[Route, ...]] = (migrate_journey, list_migrations, get_migration, roll_back_migration)
