"""The record of processing, and where users' data may be."""

from __future__ import annotations

from typing import Final

from clarion.adapters.postgres.residency import PostgresResidency
from clarion.compliance.register import Register, make_register
from clarion.compliance.residency import ResidencyRequest, ResidencyView, choose_residency, show_residency
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route

_BODY: Final = JsonBody(ResidencyRequest)
_SHOWN: Final = {"residency": "pinned", "asked": None, "country": "DE", "home_region": "eu-west-1"}


@route(
    "GET /api/v1/compliance/register",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: Register}),
)
async def get_register(call: Call) -> Reply:
    """The record of processing (GDPR Art. 30), as the tenant is set up now.

    Purposes follow from categories, recipients from providers, times from the region's and the tenant's settings.
    `gaps` names what the tenant has to tell before the record is complete.
    """
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    return json_reply(make_register(config, region.settings.region, region.settings.retention_days))


@route(
    "GET /api/v1/users/{user_id}/residency",
    Spec(
        tag="users",
        scope="users:read",
        rate="read",
        answers={200: ResidencyView},
        examples={"answer": _SHOWN},
    ),
)
async def get_residency(call: Call) -> Reply:
    """Where a user's data may be, and where it is at home."""
    store = PostgresResidency(call.services.gateway.region.pools)
    return json_reply(await show_residency(call.tenant_id, call.param("user_id"), store))


@route(
    "PUT /api/v1/users/{user_id}/residency",
    Spec(
        tag="users",
        scope="users:write",
        body=_BODY,
        answers={200: ResidencyView},
        examples={"body": {"residency": "pinned"}, "answer": {**_SHOWN, "asked": "pinned"}},
    ),
)
async def put_residency(call: Call) -> Reply:
    """Pin a user's data to her home region, or let it be copied.

    Without a choice it follows from her country: pinned in the EEA and the UK, and where no country is known.
    """
    request = await call.read(_BODY)
    store = PostgresResidency(call.services.gateway.region.pools)
    return json_reply(await choose_residency(call.tenant_id, call.param("user_id"), request, store))


ROUTES: Final[tuple[Route, ...]] = (get_register, get_residency, put_residency)
