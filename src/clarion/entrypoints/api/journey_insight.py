"""A journey in numbers: where users are, go, and leave, and who reaches its goals."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.entrypoints.api.journey_views import Number
from clarion.entrypoints.api.journeys import find_journey
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.journeys.insight import (
    SAMPLE,
    Insight,
    of_environment,
    summarize,
)
from clarion.journeys.ports import RunFilter
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import UUID_BYTES, format_id
from clarion.tenancy.model import TEST

_ALL: Final = b"\xff" * UUID_BYTES
_EPOCH: Final = date(1970, 1, 1)
MAX_DAYS: Final = 3_660
DAYS: Final = 90

Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class InsightParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which days (UTC, both included; the last 90 where they are left out), and of which version (all)."""

    since: Day | None = None
    until: Day | None = None
    version: Number | None = None


class JourneyInsightView(Insight, frozen=True):
    """A journey in numbers over some days. Counts are exact; medians and arms are those of the latest `sample` runs.

    `active`: runs now. `ends`: runs by how they ended. `drop_off`: the share of those who came to a step whose run
    ended there before it was done. A test credential sees the runs of tests.
    """

    journey_id: str
    name: str
    environment: str
    since: str
    until: str
    version: int | None


@route(
    "GET /api/v1/analytics/journeys/{journey_id}",
    Spec(
        tag="journeys",
        scope="analytics:read",
        rate="read",
        query=InsightParameters,
        answers={200: JourneyInsightView},
    ),
)
async def get_journey_insight(call: Call) -> Reply:
    """A journey step by step: who came, went on and left, how long it took, and who reached its goals."""
    record, wanted = await find_journey(call), call.query(InsightParameters)
    since, until = _days(wanted, call.services.gateway.region.clock.now_ms())
    journeys, is_test = call.services.journeys, call.principal.environment == TEST
    days = ((since - _EPOCH).days, (until - _EPOCH).days)
    counts = [
        one
        for one in await journeys.runs.counts(call.tenant_id, record.journey_id, days)
        if wanted.version in {None, one.version}
    ]
    runs = await journeys.runs.page(call.tenant_id, record.journey_id, RunFilter(), _ALL, SAMPLE)
    sample = [run for run in runs if run.is_test == is_test and wanted.version in {None, run.version}]
    waiting: Counter[str] = Counter()
    for one in await journeys.runs.standing(call.tenant_id, record.journey_id, is_test=is_test):
        version, step, n = one
        if wanted.version in {None, version}:
            waiting[step] += n
    key = (record.journey_id, wanted.version or record.live_version)
    graph = (await journeys.catalog.graphs([key])).get(key)
    insight = summarize(graph, of_environment(counts, is_test=is_test), waiting, sample)
    return json_reply(
        JourneyInsightView(
            **msgspec.structs.asdict(insight),
            journey_id=format_id(record.journey_id),
            name=record.name,
            environment=call.principal.environment,
            since=since.isoformat(),
            until=until.isoformat(),
            version=wanted.version,
        )
    )


def _days(wanted: InsightParameters, now_ms: int) -> tuple[date, date]:
    """The first and the last day. Raises Invalid."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    until = today if wanted.until is None else _day(wanted.until, "until")
    since = until - timedelta(days=DAYS - 1) if wanted.since is None else _day(wanted.since, "since")
    if not 0 <= (until - since).days < MAX_DAYS:
        raise Invalid(f"lies after `until`, or {MAX_DAYS} days and more before it", "since")
    return since, until


def _day(text: str, path: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Invalid("is no day of the calendar", path) from None
    if day.year < _EPOCH.year:
        raise Invalid("lies before 1970", path)
    return day


ROUTES: Final[tuple[Route, ...]] = (get_journey_insight,)
