"""How an account does: its breaker and its figures in each region, and what somebody has to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.delivery.health import BreakerReason, BreakerState, ProviderHealth
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import NotFound
from clarion.orchestration.rows import format_time
from clarion.tenancy.config import ProviderConfig

HealthStatus: TypeAlias = Literal["unused", "off", "healthy", "recovering", "failing", "refused"]
"""Of an account over all regions, the worst of them: `refused`: the vendor takes none of its credentials."""

_WORST_FIRST: Final[tuple[HealthStatus, ...]] = ("refused", "failing", "recovering", "healthy")


class RegionHealth(msgspec.Struct, frozen=True):
    """An account in a region. `since`: when its breaker came into its state (null: it was never open).

    `delivery_rate` and `error_rate` lie between 0 and 1 and fade with time, `attempts_per_min` says on how much they
    rest. `p99_ms`: of a call. What was said at `updated_at` holds until something changes.
    """

    region: str
    breaker: BreakerState
    reason: BreakerReason
    since: str | None
    delivery_rate: float
    error_rate: float
    p99_ms: float
    attempts_per_min: float
    updated_at: str


class HealthAlert(msgspec.Struct, frozen=True):
    """What somebody has to look at. `code`: `credentials_refused` or `breaker_open`."""

    code: Literal["credentials_refused", "breaker_open"]
    region: str
    advice: str


class ProviderHealthView(msgspec.Struct, frozen=True):
    """How an account does. `unused`: nothing was sent through it lately; `off`: it is switched off."""

    name: str
    kind: str
    channel: str
    status: HealthStatus
    regions: list[RegionHealth]
    alerts: list[HealthAlert]


@route(
    "GET /api/v1/providers/{name}/health",
    Spec(
        tag="providers",
        scope="providers:read",
        rate="read",
        answers={200: ProviderHealthView},
        examples={"answer": examples.PROVIDER_HEALTH},
    ),
)
async def get_provider_health(call: Call) -> Reply:
    """How an account does in each region that uses it: its breaker, what it delivers, how fast, what to do."""
    gateway = call.services.gateway
    name = call.param("name")
    known = (await gateway.region.configs.get(call.tenant_id)).providers
    config = next((provider for provider in known if provider.name == name), None)
    if config is None:
        raise NotFound("there is no such provider")
    reports = await gateway.health.read(call.tenant_id, name)
    return json_reply(_view(config, reports))


def _view(config: ProviderConfig, reports: Sequence[ProviderHealth]) -> ProviderHealthView:
    return ProviderHealthView(
        config.name,
        config.kind,
        config.channel,
        _status(config, reports),
        [_region(report) for report in reports],
        [alert for report in reports for alert in _alerts(report)],
    )


def _status(config: ProviderConfig, reports: Sequence[ProviderHealth]) -> HealthStatus:
    if not config.enabled:
        return "off"
    if not reports:
        return "unused"
    found = {_status_in(report) for report in reports}
    return next(status for status in _WORST_FIRST if status in found)


def _status_in(report: ProviderHealth) -> HealthStatus:
    if report.state == "closed":
        return "healthy"
    if report.reason == "credentials":
        return "refused"
    return "recovering" if report.state == "half_open" else "failing"


def _region(report: ProviderHealth) -> RegionHealth:
    return RegionHealth(
        report.region,
        report.state,
        report.reason,
        format_time(report.since_ms) if report.since_ms else None,
        round(report.delivery_rate, 4),
        round(report.error_rate, 4),
        round(report.p99_ms, 1),
        round(report.attempts_per_min, 1),
        format_time(report.updated_ms),
    )


def _alerts(report: ProviderHealth) -> list[HealthAlert]:
    if report.state == "closed":
        return []
    if report.reason == "credentials":
        advice = (
            "the vendor refuses the credentials: write new ones; messages wait for them until they expire"
        )
        return [HealthAlert("credentials_refused", report.region, advice)]
    if report.state == "open":
        advice = "calls failed in a row; one a second is tried, and others of the channel are used meanwhile"
        return [HealthAlert("breaker_open", report.region, advice)]
    return []


ROUTES: Final[tuple[Route, ...]] = (get_provider_health,)
