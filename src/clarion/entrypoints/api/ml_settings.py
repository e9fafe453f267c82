"""How a tenant's decisions learn: what is tried, on whom nothing learned is used, and which features are on."""

from __future__ import annotations

from typing import Final

from clarion.adapters.postgres.ml_settings import PostgresMlSettings
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.tenancy.model import MlSettings

_BODY: Final = JsonBody(MlSettings)
_EXAMPLE: Final = {
    "exploration": 0.05,
    "holdout": {"send_time": 0.1, "channel": 0.05},
    "enabled": {"send_time": True, "channel": True},
}


@route(
    "PUT /api/v1/ml/settings",
    Spec(
        tag="ml",
        scope="ml:write",
        body=_BODY,
        answers={200: MlSettings},
        examples={"body": _EXAMPLE, "answer": _EXAMPLE},
    ),
)
async def put_ml_settings(call: Call) -> Reply:
    """Choose how decisions learn; what is left out is as it is without any choice.

    `exploration`: share of the messages that may wait which try another open hour or channel. `holdout`: share of the
    users, by feature, on whom nothing is used that was learned of them; a larger share keeps those of a smaller one.
    `enabled`: a feature that is off gives everybody what suits the population. What is decided from now on heeds it.
    """
    chosen = await call.read(_BODY)
    region = call.services.gateway.region
    await PostgresMlSettings(region.pools).put(call.tenant_id, chosen)
    region.configs.forget(call.tenant_id)
    return json_reply(chosen)


@route(
    "GET /api/v1/ml/settings",
    Spec(tag="ml", scope="ml:read", rate="read", answers={200: MlSettings}, examples={"answer": _EXAMPLE}),
)
async def show_ml_settings(call: Call) -> Reply:
    """How this tenant's decisions learn."""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    return json_reply(config.tenant.ml)


ROUTES: Final[tuple[Route, ...]] = (put_ml_settings, show_ml_settings)
