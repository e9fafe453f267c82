"""What is expected of users: when to write to them, on which channel, and whether they answer or leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.contracts.commands import Name
from clarion.contracts.responses import ItemError
from clarion.entrypoints.api.body import MAX_ITEMS, JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.intelligence.features import empty_records
from clarion.intelligence.serving.describe import UserPrediction, describe_safely
from clarion.kernel.errors import NotFound, Transient
from clarion.kernel.text import check_storable
from clarion.orchestration.rows import describe_error


class EngagementPrediction(msgspec.Struct, frozen=True):
    """Probability that she opens a message, by channel, and that she follows a link of one, at an average hour."""

    email_open_probability: float
    push_open_probability: float
    click_probability: float


class UncertaintyView(msgspec.Struct, frozen=True):
    """How much of each answer holds of the population, and is not her own: 1 where nothing is known of her.

    `model`: what answered. `ml_fallback`: it had less to go by than it should have had.
    """

    send_time: float
    channel: float
    churn: float
    model: str
    ml_fallback: bool


class PredictionsView(msgspec.Struct, frozen=True):
    """What is expected of a user. `optimal_send_times`: the best first, by her own clock.

    `channel_preferences` add up to 1. `churn_risk`: probability that she gives no sign within the next 30 days.
    `segments`: those that her conduct puts her in. `weekly_budget`: messages of a week, by channel, after which she had
    enough: more of them than others get who answer more.
    """

    user_id: str
    optimal_send_times: dict[str, list[str]]
    channel_preferences: dict[str, float]
    engagement_prediction: EngagementPrediction
    churn_risk: float
    segments: list[str]
    weekly_budget: dict[str, float]
    uncertainty: UncertaintyView


class PredictionBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/ml/predictions:batch`: up to 1000 users."""

    user_ids: Annotated[list[Name], Meta(min_length=1, max_length=MAX_ITEMS)]


class PredictionResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is expected of one user of a batch, or why nothing is said of her."""

    index: int
    prediction: PredictionsView | None = None
    error: ItemError | None = None


class PredictionResults(msgspec.Struct, frozen=True):
    """Answer to a batch, one entry a user in order."""

    results: list[PredictionResult]


_BATCH: Final = JsonBody(PredictionBatch)
_EXAMPLE: Final = {
    "user_id": "ada",
    "optimal_send_times": {
        "email": ["09:00", "20:00", "12:00"],
        "push": ["20:00", "09:00", "12:00"],
        "sms": ["09:00", "20:00", "12:00"],
    },
    "channel_preferences": {"email": 0.52, "push": 0.31, "sms": 0.17},
    "engagement_prediction": {
        "email_open_probability": 0.34,
        "push_open_probability": 0.2,
        "click_probability": 0.09,
    },
    "churn_risk": 0.08,
    "segments": ["active", "highly_engaged"],
    "weekly_budget": {"email": 16.2, "push": 21.0, "sms": 5.4},
    "uncertainty": {
        "send_time": 0.12,
        "channel": 0.2,
        "churn": 0.15,
        "model": "eb-7",
        "ml_fallback": False,
    },
}


@route(
    "GET /api/v1/ml/predictions/{user_id}",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: PredictionsView},
        examples={"answer": _EXAMPLE},
    ),
)
async def predict_user(call: Call) -> Reply:
    """What is expected of a user, by all that is known of her now.

    Of somebody unknown it is what holds of the population, in her own time zone; `uncertainty` says how far.
    """
    name = call.param("user_id")
    (view,) = await _predict(call, [name])
    if view is None:
        raise NotFound("there is no such user")
    return json_reply(view)


@route(
    "POST /api/v1/ml/predictions:batch",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        body=_BATCH,
        answers={200: PredictionResults},
        examples={
            "body": {"user_ids": ["ada"]},
            "answer": {"results": [{"index": 0, "prediction": _EXAMPLE}]},
        },
    ),
)
async def predict_users(call: Call) -> Reply:
    """What is expected of up to 1000 users. One who is not there stops no other."""
    names = (await call.read(_BATCH)).user_ids
    for place, name in enumerate(names):
        check_storable(name, f"user_ids[{place}]")
    await call.charge(len(names) - 1)
    nobody = describe_error(NotFound("there is no such user"))
    views = await _predict(call, names)
    return json_reply(
        PredictionResults(
            [
                PredictionResult(place, prediction=view) if view else PredictionResult(place, error=nobody)
                for place, view in enumerate(views)
            ]
        )
    )


async def _predict(call: Call, names: Sequence[str]) -> list[PredictionsView | None]:
    """What is expected of users of the caller's tenant, in order; None of who is not there."""
    region = call.services.gateway.region
    ids = await region.seals.find_ids(call.tenant_id, list(dict.fromkeys(names)))
    user_ids = list(ids.values())
    try:
        records, missed = await region.features.read(user_ids), False
    except Transient:
        records, missed = empty_records(user_ids), True
    model = region.models.current(call.tenant_id)
    described, replaced = describe_safely(records, model, region.clock.now_ms())
    views = {
        name: _view(name, said, model.name, is_less=missed or is_replaced)
        for name, said, is_replaced in zip(ids, described, replaced, strict=True)
    }
    return [views.get(name) for name in names]


def _view(name: str, said: UserPrediction, model: str, *, is_less: bool) -> PredictionsView:
    unknown = said.uncertainty
    return PredictionsView(
        user_id=name,
        optimal_send_times=said.times,
        channel_preferences=said.preferences,
        engagement_prediction=EngagementPrediction(said.opens["email"], said.opens["push"], said.click),
        churn_risk=said.churn_risk,
        segments=said.segments,
        weekly_budget=said.weekly,
        uncertainty=UncertaintyView(unknown.send_time, unknown.channel, unknown.churn, model, is_less),
    )


ROUTES: Final[tuple[Route, ...]] = (predict_user, predict_users)
