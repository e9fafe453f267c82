"""The application: every route, served by Litestar.

edge (ids, trace, metrics) ─▶ routing ─▶ admission (key, scope, rate) ─▶ idempotency ─▶ handler
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import Litestar, Request, Response

from clarion.bootstrap import Gateway
from clarion.entrypoints.api import (
    audit,
    broadcasts,
    budgets,
    categories,
    compliance,
    costs,
    dead_letters,
    devices,
    erasures,
    events,
    experiments,
    exports,
    journey_insight,
    journey_migrations,
    journey_rehearsals,
    journey_runs,
    journey_schema,
    journeys,
    keys,
    lift,
    links,
    localization,
    members,
    ml_settings,
    models,
    notifications,
    partials,
    personalization,
    predictions,
    preferences,
    processing,
    provider_health,
    providers,
    routing_policies,
    rules,
    segments,
    suppressions,
    system,
    template_schemas,
    template_trials,
    templates,
    tenant,
    token_issuers,
    usage,
    users,
    webhook_secrets,
)
from clarion.entrypoints.api.auditing import audited
from clarion.entrypoints.api.body import MAX_BATCH_BYTES
from clarion.entrypoints.api.edge import Edge, trip_of
from clarion.entrypoints.api.errors import reply_to_error
from clarion.entrypoints.api.openapi import describe
from clarion.entrypoints.api.patience import SWEEP_EVERY_S
from clarion.entrypoints.api.routing import Route, methods_by_path, options, serve
from clarion.entrypoints.api.services import Services, build_services
from clarion.entrypoints.hooks import confirmations, receipts, subscriptions, tracking
from clarion.entrypoints.workers.lane import run_lane

ANCHOR_EVERY_S: Final = 5.0
"""How often this process's clock is set by the store's."""

SETTLE_EVERY_S: Final = 1.0

VISITS_EVERY_S: Final = 0.2
"""How often visits are written. What a process that is killed had not written is not counted."""

ROUTES: Final[tuple[Route, ...]] = (
    *notifications.ROUTES,
    *users.ROUTES,
    *devices.ROUTES,
    *preferences.ROUTES,
    *templates.ROUTES,
    *template_trials.ROUTES,
    *template_schemas.ROUTES,
    *partials.ROUTES,
    *categories.ROUTES,
    *providers.ROUTES,
    *provider_health.ROUTES,
    *routing_policies.ROUTES,
    *compliance.ROUTES,
    *rules.ROUTES,
    *suppressions.ROUTES,
    *erasures.ROUTES,
    *exports.ROUTES,
    *processing.ROUTES,
    *audit.ROUTES,
    *personalization.ROUTES,
    *dead_letters.ROUTES,
    *receipts.ROUTES,
    *links.ROUTES,
    *localization.ROUTES,
    *tracking.ROUTES,
    *subscriptions.ROUTES,
    *confirmations.ROUTES,
    *broadcasts.ROUTES,
    *segments.ROUTES,
    *journeys.ROUTES,
    *journey_runs.ROUTES,
    *journey_migrations.ROUTES,
    *journey_insight.ROUTES,
    *journey_rehearsals.ROUTES,
    *journey_schema.ROUTES,
    *webhook_secrets.ROUTES,
    *events.ROUTES,
    *keys.ROUTES,
    *members.ROUTES,
    *tenant.ROUTES,
    *token_issuers.ROUTES,
    *usage.ROUTES,
    *budgets.ROUTES,
    *costs.ROUTES,
    *predictions.ROUTES,
    *ml_settings.ROUTES,
    *models.ROUTES,
    *lift.ROUTES,
    *experiments.ROUTES,
    *system.ROUTES,
)


def create_app(gateway: Gateway) -> Litestar:
    """The API of a gateway, which the caller opened and closes."""
    services = build_services(gateway)
    routes = [*ROUTES, system.openapi_route(describe(ROUTES))]

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with _chores(services):
            yield

    app = Litestar(
        [
            # First, or Litestar makes one of its own, which knows of one method only.
            *(options(path, methods) for path, methods in methods_by_path(routes).items()),
            *(serve(route, services) for route in audited(routes)),
        ],
        openapi_config=None,
        logging_config=None,
        lifespan=[lifespan],
        exception_handlers={Exception: _on_routing_error},
        request_max_body_size=MAX_BATCH_BYTES,
    )
    region = gateway.region
    app.asgi_handler = Edge(app.asgi_handler, region.metrics, region.traces, region.clock)
    return app


def _on_routing_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to what never reached a route of ours; theirs are answered by `routing.serve`."""
    reply = reply_to_error(error, trip_of(request.scope).request_id)
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, status_code=reply.status, headers=headers, media_type=headers["content-type"])


@asynccontextmanager
async def _chores(services: Services) -> AsyncGenerator[None]:
    """What an API process does besides answering: it keeps the time, ends waits, and pays cards and work."""
    stop = asyncio.Event()
    region = services.gateway.region

    async def keep_time() -> float:
        await region.anchor_clock()
        return ANCHOR_EVERY_S

    async def settle_cards() -> float:
        await services.cards.settle()
        return SETTLE_EVERY_S

    async def settle_work() -> float:
        await services.gateway.work.settle()
        return SETTLE_EVERY_S

    async def write_visits() -> float:
        await services.visits.settle()
        return VISITS_EVERY_S

    async def end_waits() -> float:
        services.patience.sweep()
        return SWEEP_EVERY_S

    async with asyncio.TaskGroup() as group:
        group.create_task(run_lane("patience", end_waits, stop))
        group.create_task(run_lane("visits", write_visits, stop))
        group.create_task(run_lane("clock", keep_time, stop))
        group.create_task(run_lane("cards", settle_cards, stop))
        group.create_task(run_lane("work", settle_work, stop))
        try:
            yield
        finally:
            stop.set()
            await services.visits.settle()
