"""Experiments: what a change to how decisions learn brings, by users who were given it by chance."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.ml_experiments import ExperimentRecord, Plan, PostgresExperiments
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.intelligence.training.ab import LEAST_EFFECT, ExperimentResult
from clarion.kernel.errors import Conflict, Invalid, NotFound
from clarion.kernel.ids import format_id, make_ids, parse_id
from clarion.orchestration.rows import format_time
from clarion.tenancy.model import Arm

MOST_ARMS: Final = 5


class ExperimentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/ml/experiments`. The first arm is what the others are compared with."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    arms: Annotated[tuple[Arm, ...], Meta(min_length=2, max_length=MOST_ARMS)]
    least_effect: Annotated[float, Meta(gt=0, le=0.5)] = LEAST_EFFECT


class ExperimentView(msgspec.Struct, frozen=True):
    """An experiment. Times are ISO 8601 UTC; null: not so, or not yet. `result`: as it was measured last."""

    experiment_id: str
    name: str
    arms: tuple[Arm, ...]
    least_effect: float
    started_at: str
    stopped_at: str | None
    measured_at: str | None
    result: ExperimentResult | None


class ExperimentList(msgspec.Struct, frozen=True):
    """A tenant's experiments, latest first."""

    experiments: list[ExperimentView]


_BODY: Final = JsonBody(ExperimentRequest)
_ARMS: Final[list[dict[str, Any]]] = [
    {"name": "as_now", "share": 0.5, "exploration": None, "without": []},
    {"name": "no_send_time", "share": 0.5, "exploration": None, "without": ["send_time"]},
]
_STARTED: Final[dict[str, Any]] = {
    "experiment_id": "019353a1-7c00-7000-8000-000000000000",
    "name": "do hours matter",
    "arms": _ARMS,
    "least_effect": 0.01,
    "started_at": "2026-11-01T08:00:00.000Z",
    "stopped_at": None,
    "measured_at": None,
    "result": None,
}
_MEASURED: Final[dict[str, Any]] = {
    **_STARTED,
    "measured_at": "2026-11-20T02:00:00.000Z",
    "result": {
        "arms": [
            {
                "name": "as_now",
                "users": 20112,
                "mean": 0.1312,
                "difference": None,
                "low": None,
                "high": None,
                "least_seen": None,
                "verdict": None,
            },
            {
                "name": "no_send_time",
                "users": 19970,
                "mean": 0.1208,
                "difference": -0.0104,
                "low": -0.0151,
                "high": -0.0057,
                "least_seen": 0.0041,
                "verdict": "worse",
            },
        ],
        "ratio_p": 0.478,
        "reduced": 0.31,
    },
}


@route(
    "POST /api/v1/ml/experiments",
    Spec(
        tag="ml",
        scope="ml:write",
        body=_BODY,
        answers={201: ExperimentView},
        problems=(409,),
        examples={"body": {"name": "do hours matter", "arms": _ARMS}, "answer": _STARTED},
    ),
)
async def start_experiment(call: Call) -> Reply:
    """Treat users by chance in one of several ways from now on, and measure how many messages they answer.

    Each user stays in her arm. `share`: of the users, by weight against the other arms'. An arm may have its own
    `exploration`, and be `without` what was learned of users; none switches on what the settings switched off.
    `least_effect`: the difference in the share of messages answered that matters. One experiment runs at a time.
    """
    asked = await call.read(_BODY)
    if len({arm.name for arm in asked.arms}) < len(asked.arms):
        raise Invalid("each arm needs a name of its own", "arms")
    region = call.services.gateway.region
    store, experiment_id = PostgresExperiments(region.pools), make_ids(1, region.clock.now_ms())
    if any(record.stopped_ms is None for record in await store.list(call.tenant_id)):
        raise Conflict("another experiment runs: stop it first")
    await store.create(call.tenant_id, experiment_id, asked.name, Plan(asked.arms, asked.least_effect))
    region.configs.forget(call.tenant_id)
    return json_reply(_view(await store.get(call.tenant_id, experiment_id)), 201)


@route(
    "GET /api/v1/ml/experiments",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: ExperimentList},
        examples={"answer": {"experiments": [_MEASURED]}},
    ),
)
async def list_experiments(call: Call) -> Reply:
    """This tenant's experiments, latest first, at most 200."""
    found = await _store(call).list(call.tenant_id)
    return json_reply(ExperimentList([_view(record) for record in found]))


@route(
    "GET /api/v1/ml/experiments/{experiment_id}",
    Spec(
        tag="ml", scope="ml:read", rate="read", answers={200: ExperimentView}, examples={"answer": _MEASURED}
    ),
)
async def show_experiment(call: Call) -> Reply:
    """An experiment, and what it shows by now: measured every day, by messages whose answers are in.

    The intervals hold however often you look. `ratio_p` below 0.001: more users of an arm are missing than chance
    explains, and no verdict is given. `no lift`: the interval excludes an improvement of `least_effect`.
    """
    return json_reply(_view(await _store(call).get(call.tenant_id, _ident(call))))


@route(
    "POST /api/v1/ml/experiments/{experiment_id}/stop",
    Spec(
        tag="ml",
        scope="ml:write",
        answers={200: ExperimentView},
        examples={"answer": {**_MEASURED, "stopped_at": "2026-11-21T08:00:00.000Z"}},
    ),
)
async def stop_experiment(call: Call) -> Reply:
    """Treat everybody alike again. What was sent in it is measured until its answers are in."""
    store, ident = _store(call), _ident(call)
    await store.get(call.tenant_id, ident)
    await store.stop(call.tenant_id, ident)
    call.services.gateway.region.configs.forget(call.tenant_id)
    return json_reply(_view(await store.get(call.tenant_id, ident)))


def _store(call: Call) -> PostgresExperiments:
    return PostgresExperiments(call.services.gateway.region.pools)


def _ident(call: Call) -> bytes:
    ident = parse_id(call.param("experiment_id"))
    if ident is None:
        raise NotFound("there is no such experiment")
    return ident


def _view(record: ExperimentRecord) -> ExperimentView:
    return ExperimentView(
        experiment_id=format_id(record.experiment_id),
        name=record.name,
        arms=record.plan.arms,
        least_effect=record.plan.least_effect,
        started_at=format_time(record.started_ms),
        stopped_at=None if record.stopped_ms is None else format_time(record.stopped_ms),
        measured_at=None if record.measured_ms is None else format_time(record.measured_ms),
        result=record.result,
    )


ROUTES: Final[tuple[Route, ...]] = (start_experiment, list_experiments, show_experiment, stop_experiment)
