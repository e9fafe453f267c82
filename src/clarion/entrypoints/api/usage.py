"""How much of its day a tenant has used."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import ANY_KEY, Call, Route, Spec, route
from clarion.entrypoints.api.throttle import make_take
from clarion.kernel.local_time import known_zone, local_day, next_midnight_ms
from clarion.orchestration.rows import format_time


class UsageView(msgspec.Struct, frozen=True):
    """The tenant's present day, and the notifications that were accepted on it. Null where they are not counted."""

    day: str
    timezone: str
    ends_at: str
    accepted: int | None
    quota: int | None
    remaining: int | None


@route("GET /api/v1/usage", Spec(tag="keys", scope=ANY_KEY, rate="read", answers={200: UsageView}))
async def show_usage(call: Call) -> Reply:
    """How much of the day's quota is used.

    A quota counts accepted notifications, on a calendar day of the tenant's time zone. Where it is spent, further ones
    are refused with `429` and `urn:clarion:problem:quota` until the day ends.
    """
    services = call.services
    now_ms = services.gateway.region.clock.now_ms()
    tenant = (await services.gateway.region.configs.get(call.tenant_id)).tenant
    zone = known_zone(tenant.timezone)
    day, limit = str(local_day(zone, now_ms)), tenant.daily_quota
    used = None
    if limit is not None:
        used = (await services.throttle.charge(make_take(tenant, "accept", 0, now_ms))).used
    usage = UsageView(
        f"{day[:4]}-{day[4:6]}-{day[6:]}",
        zone,
        format_time(next_midnight_ms(zone, now_ms)),
        used,
        limit,
        None if limit is None or used is None else max(0, limit - used),
    )
    return json_reply(usage)


ROUTES: Final[tuple[Route, ...]] = (show_usage,)
