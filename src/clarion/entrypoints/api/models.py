"""A tenant's models: which there are, how each did, which one serves; and having them fitted now."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.postgres.ml_models import PostgresModels, PostgresTrainings
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.intelligence.models.registered import Figure, Registered, Status
from clarion.kernel.errors import NotFound
from clarion.orchestration.rows import format_time

MOST: Final = 60


class ModelView(msgspec.Struct, frozen=True):
    """One version of a tenant's model. `live_since`, `from`, `to`: ISO 8601 UTC; null where it never served.

    `figures`: by name, how it did on time that it had not seen, beside the one before it; the interval is that of their
    difference. `clusters`: the segments that were found among the tenant's users, and what sets each apart, in words.
    """

    name: str
    status: Status
    reason: str
    parent: str
    created_at: str
    trained_from: str
    trained_to: str
    live_since: str | None
    users: int
    signs: int
    coverage: float | None
    figures: dict[str, Figure]
    clusters: dict[str, str]
    checksum: str


class ModelList(msgspec.Struct, frozen=True):
    """A tenant's models, newest first. `serving`: the one that is live; "" where the defaults serve."""

    models: list[ModelView]
    serving: str


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a version is to serve, in the words of who says so."""

    reason: str = ""


class TrainingView(msgspec.Struct, frozen=True):
    """How a tenant's training stands. `requested`: one is to come; `outcome`: what came of the last one.

    `failures`: how many failed in a row; `retry_at`: when it is tried again by itself, null where none failed.
    """

    requested: bool
    running: bool
    last_ended_at: str | None
    outcome: str
    failures: int
    retry_at: str | None


_PROMOTION: Final = JsonBody(Promotion)
_EXAMPLE: Final = {
    "name": "eb-7",
    "status": "live",
    "reason": "no worse than eb-6, and of newer data",
    "parent": "eb-6",
    "created_at": "2026-11-23T02:00:04.000Z",
    "trained_from": "2025-10-19T02:00:00.000Z",
    "trained_to": "2026-11-23T02:00:00.000Z",
    "live_since": "2026-11-23T02:00:05.000Z",
    "users": 18204,
    "signs": 1204331,
    "coverage": 0.704,
    "figures": {
        "log score of hours": {
            "candidate": -2.812,
            "incumbent": -2.813,
            "low": -0.0004,
            "high": 0.0021,
            "people": 9120,
        }
    },
    "clusters": {"cluster_1": "on working days, answering", "cluster_2": "at weekends, at night"},
    "checksum": "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a",
}
_TRAINING: Final = {
    "requested": True,
    "running": False,
    "last_ended_at": None,
    "outcome": "",
    "failures": 0,
    "retry_at": None,
}


def _view(model: Registered) -> ModelView:
    return ModelView(
        name=model.name,
        status=model.status,
        reason=model.reason,
        parent=model.parent,
        created_at=format_time(model.created_ms),
        trained_from=format_time(model.from_ms),
        trained_to=format_time(model.to_ms),
        live_since=format_time(model.live_ms) if model.live_ms else None,
        users=model.metrics.users,
        signs=model.metrics.signs,
        coverage=model.metrics.coverage,
        figures=model.metrics.figures,
        clusters=model.metrics.clusters,
        checksum=model.checksum.hex(),
    )


@route(
    "GET /api/v1/ml/models",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: ModelList},
        examples={"answer": {"models": [_EXAMPLE], "serving": "eb-7"}},
    ),
)
async def list_models(call: Call) -> Reply:
    """The latest versions of this tenant's model, how each did on time that it had not seen, and which one serves."""
    found = await PostgresModels(call.services.gateway.region.pools).models(call.tenant_id, MOST)
    serving = next((model.name for model in found if model.status == "live"), "")
    return json_reply(ModelList([_view(model) for model in found], serving))


@route(
    "GET /api/v1/ml/models/{name}",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: ModelView},
        examples={"answer": _EXAMPLE},
    ),
)
async def show_model(call: Call) -> Reply:
    """One version."""
    return json_reply(_view(await _find(call)))


@route(
    "POST /api/v1/ml/models/{name}/promote",
    Spec(
        tag="ml",
        scope="ml:write",
        body=_PROMOTION,
        answers={200: ModelView},
        examples={"body": {"reason": "the newer one is wrong about weekends"}, "answer": _EXAMPLE},
    ),
)
async def promote_model(call: Call) -> Reply:
    """Have a version serve, whatever it is: back to an older one, or a refused one after all. Takes seconds to be so.

    It stays until a training finds one that is surely better, or for the week after which no model is used that was not
    fitted anew. To use no model at all, switch the features off in the settings.
    """
    await _find(call)
    given = await call.read(_PROMOTION)
    registry = PostgresModels(call.services.gateway.region.pools)
    await registry.promote(call.tenant_id, call.param("name"), given.reason or "promoted by hand", held=True)
    return json_reply(_view(await _find(call)))


@route(
    "POST /api/v1/ml/train",
    Spec(tag="ml", scope="ml:write", answers={202: TrainingView}, examples={"answer": _TRAINING}),
)
async def request_training(call: Call) -> Reply:
    """Have this tenant's models fitted soon, instead of tonight. Asked again before it began, it is the same one."""
    schedule = PostgresTrainings(call.services.gateway.region.pools)
    await schedule.ask(call.tenant_id)
    return json_reply(await _training(call), status=202)


@route(
    "GET /api/v1/ml/train",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: TrainingView},
        examples={"answer": _TRAINING},
    ),
)
async def show_training(call: Call) -> Reply:
    """How this tenant's training stands."""
    return json_reply(await _training(call))


async def _find(call: Call) -> Registered:
    name = call.param("name")
    found = await PostgresModels(call.services.gateway.region.pools).models(call.tenant_id, MOST)
    for model in found:
        if model.name == name:
            return model
    raise NotFound(f"there is no model {name}")


async def _training(call: Call) -> TrainingView:
    stands = await PostgresTrainings(call.services.gateway.region.pools).show(call.tenant_id)
    return TrainingView(
        stands.asked,
        stands.running,
        format_time(stands.ended_ms) if stands.ended_ms else None,
        stands.outcome,
        stands.failures,
        format_time(stands.retry_ms) if stands.retry_ms else None,
    )


ROUTES: Final[tuple[Route, ...]] = (list_models, show_model, promote_model, request_training, show_training)
