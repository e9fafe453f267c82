"""The tenant itself: what it is and may, and its end."""

from __future__ import annotations

from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.tenant_deletion import PostgresTenantDeletion
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.api.throttle import RouteClass
from clarion.kernel.errors import Refused
from clarion.kernel.ids import format_id
from clarion.orchestration.rows import format_time
from clarion.tenancy.deletion import check_confirmation
from clarion.tenancy.model import TEST


class RateView(msgspec.Struct, frozen=True):
    """How often routes of a class may be called: so many a second, and so many at once."""

    per_s: float
    burst: float


class TenantView(msgspec.Struct, frozen=True):
    """What a tenant is, and may. `daily_quota`: notifications a day of its zone; null: they are not counted."""

    tenant_id: str
    name: str
    timezone: str
    country: str
    language: str
    environments: list[str]
    rates: dict[str, RateView]
    daily_quota: int | None


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`confirm`: the tenant's name, said by who deletes it."""

    confirm: Annotated[str, Meta(min_length=1, max_length=200)]


class TenantEnds(msgspec.Struct, frozen=True):
    """A tenant that is being deleted."""

    tenant_id: str
    status: str
    asked_at: str


@route("GET /api/v1/tenant", Spec(tag="tenant", scope="tenant:read", rate="read", answers={200: TenantView}))
async def show_tenant(call: Call) -> Reply:
    """What this tenant is, how often it may call, and how much it may send."""
    region = call.services.gateway.region
    tenant = (await region.configs.get(call.tenant_id)).tenant
    view = TenantView(
        format_id(tenant.tenant_id),
        tenant.name,
        tenant.timezone,
        tenant.country,
        tenant.language,
        ["live", "test"],
        {name: RateView(tenant.rate_per_s, tenant.rate_burst) for name in get_args(RouteClass)},
        tenant.daily_quota,
    )
    return json_reply(view)


@route(
    "DELETE /api/v1/tenant",
    Spec(tag="tenant", scope="tenant:write", query=Confirmation, answers={202: TenantEnds}),
)
async def delete_tenant(call: Call) -> Reply:
    """Delete this tenant with all that it has. There is no way back.

    When this answers, no credential of it works any more and nothing of it is sent; what it has is then removed by the
    portion. The audit log stays, for its own time. An owner does this, and says the tenant's name in `confirm`.
    """
    wanted = call.query(Confirmation)
    if call.principal.environment == TEST:
        raise Refused("a test credential cannot delete what is live", "environment")
    region = call.services.gateway.region
    name = (await region.configs.get(call.tenant_id)).tenant.name
    check_confirmation(name, wanted.confirm)
    deletion = await PostgresTenantDeletion(region.pools).begin(call.tenant_id, name)
    call.services.authenticator.forget_all()
    region.configs.forget(call.tenant_id)
    return json_reply(TenantEnds(format_id(call.tenant_id), "deleting", format_time(deletion.asked_ms)), 202)


ROUTES: Final[tuple[Route, ...]] = (show_tenant, delete_tenant)
