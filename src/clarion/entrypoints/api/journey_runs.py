"""Runs of journeys: looked at, told in words, ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.adapters.postgres.journey_effects import PostgresKnownUsers
from clarion.entrypoints.api.environments import keep_live
from clarion.entrypoints.api.journey_views import RunList, RunParameters, RunView, as_run, as_timeline
from clarion.entrypoints.api.journeys import READ, WRITE, find_journey
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.journey_steering import end_runs
from clarion.journeys.model import Instance
from clarion.journeys.ports import RunFilter
from clarion.kernel.errors import Conflict, Invalid, NotFound
from clarion.kernel.ids import UUID_BYTES, format_id, parse_id

_ALL: Final = b"\xff" * UUID_BYTES
STOPPED_BY_HAND: Final = "by hand"


@route(
    "GET /api/v1/journeys/{journey_id}/instances",
    Spec(tag="journeys", scope=READ, rate="read", query=RunParameters, answers={200: RunList}),
)
async def list_runs(call: Call) -> Reply:
    """A journey's runs, newest first: of a user, of a status, at a step."""
    record, wanted = await find_journey(call), call.query(RunParameters)
    before = parse_id(wanted.cursor) if wanted.cursor else _ALL
    if before is None:
        raise Invalid("is no cursor: take `next_cursor` of the page before as it is", "cursor")
    user_id = 0
    if wanted.user_id:
        region = call.services.gateway.region
        user_id = (await region.users.find_ids(call.tenant_id, [wanted.user_id])).get(wanted.user_id, 0)
        if not user_id:
            return json_reply(RunList([], None))
    found = await call.services.journeys.runs.page(
        call.tenant_id,
        record.journey_id,
        RunFilter(user_id, wanted.status, wanted.step),
        before,
        wanted.limit + 1,
    )
    page = found[: wanted.limit]
    names = await _names(call, page)
    cursor = format_id(page[-1].instance_id) if len(found) > wanted.limit else None
    return json_reply(RunList([as_run(run, names.get(run.user_id)) for run in page], cursor))


@route(
    "GET /api/v1/journeys/{journey_id}/instances/{instance_id}",
    Spec(tag="journeys", scope=READ, rate="read", answers={200: RunView}),
)
async def get_run(call: Call) -> Reply:
    """One user's run in full: where it stands, what it waits for, its messages, and its timeline in words."""
    return await _show(call, await _find(call))


@route(
    "POST /api/v1/journeys/{journey_id}/instances/{instance_id}/stop",
    Spec(tag="journeys", scope=WRITE, answers={200: RunView}),
)
async def stop_run(call: Call) -> Reply:
    """End one run where it stands, and take back its messages that have not gone out.

    A run that has ended already stays as it ended: 409.
    """
    run = await _find(call)
    keep_live(call, is_test=run.is_test)
    if run.status != "active":
        raise Conflict(f"this run is {run.status} already")
    services = call.services
    await end_runs([run.instance_id], STOPPED_BY_HAND, services.journeys, services.gateway.region)
    return await _show(call, await _find(call))


async def _find(call: Call) -> Instance:
    record = await find_journey(call)
    instance_id = parse_id(call.param("instance_id"))
    run = instance_id and await call.services.journeys.runs.find(
        call.tenant_id, record.journey_id, instance_id
    )
    if not run:
        raise NotFound("there is no such run of this journey")
    return run


async def _show(call: Call, run: Instance) -> Reply:
    key = (run.journey_id, run.version)
    graphs = await call.services.journeys.catalog.graphs([key])
    names = await _names(call, [run])
    return json_reply(as_timeline(run, names.get(run.user_id), graphs.get(key)))


async def _names(call: Call, runs: Sequence[Instance]) -> dict[int, str]:
    """The tenant's names of the users of these runs, as far as they are still there."""
    known = await PostgresKnownUsers(call.services.gateway.region.pools).read(
        sorted({run.user_id for run in runs})
    )
    return {user_id: user.external_id for user_id, user in known.items() if user.tenant_id == call.tenant_id}


ROUTES: Final[tuple[Route, ...]] = (list_runs, get_run, stop_run)
