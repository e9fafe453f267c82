"""A user as the models see her: what `GET /api/v1/ml/predictions/{user_id}` tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS, TenantModel, channel, churn, fatigue, segments, send_time
from clarion.intelligence.serving.portraits import best_times
from clarion.intelligence.serving.ports import FloatArray

_DIGITS: Final = 4


class Uncertainty(msgspec.Struct, frozen=True):
    """How much of each answer is the population's and not the user's own: 1 (nothing is known of her) to 0."""

    send_time: float
    channel: float
    churn: float


class UserPrediction(msgspec.Struct, frozen=True):
    """What is expected of one user. `times`: her best local times by channel, "HH:MM", best first.

    `preferences`: by channel, adding up to 1. `opens`: probability by channel that she opens a message, at an average
    hour. `click`: that she follows a link of one, on the channel on which she most probably does. `churn_risk`: that
    she gives no sign for the model's horizon (30 days by default). `segments`: those that her conduct puts her in.
    `weekly`: messages of a week, by channel, after which she had enough.
    """

    times: dict[str, list[str]]
    preferences: dict[str, float]
    opens: dict[str, float]
    click: float
    churn_risk: float
    segments: list[str]
    weekly: dict[str, float]
    uncertainty: Uncertainty


def describe(records: RecordArray, model: TenantModel, now_ms: int) -> list[UserPrediction]:
    """What is expected of each user, in order. `records` of any instant; they count as they weigh at `now_ms`."""
    known = channel.known(records, model.channel, now_ms)
    rates = channel.rates(known, model.channel)
    opens = calibrated(rates, model.engagement.opens)
    clicks = calibrated(rates, model.engagement.clicks)
    counted = send_time.presence(records, model.send_time.mix, now_ms)
    certain = np.stack(
        [
            send_time.certainty(counted, model.send_time),
            channel.certainty(known, model.channel),
            churn.certainty(records),
        ],
        axis=1,
    )
    chances = np.stack([clicks.max(axis=1), churn.churn_risk(records, model.churn, now_ms)], axis=1)
    budget = fatigue.budgets(rates, channel.usual_rates(model.channel), model.fatigue)
    rows = zip(
        best_times(records, model, now_ms),
        _rounded(opens / opens.sum(axis=1, keepdims=True)),
        _rounded(opens),
        _rounded(chances),
        segments.segments_of(records, model, now_ms),
        np.round(budget.astype(np.float64), 1).tolist(),
        _rounded(1 - certain),
        strict=True,
    )
    return [
        UserPrediction(
            times=times,
            preferences=dict(zip(CHANNELS, preferred, strict=True)),
            opens=dict(zip(CHANNELS, opened, strict=True)),
            click=click,
            churn_risk=risk,
            segments=names,
            weekly=dict(zip(CHANNELS, enough, strict=True)),
            uncertainty=Uncertainty(*unknown),
        )
        for times, preferred, opened, (click, risk), names, enough, unknown in rows
    ]


def describe_safely(
    records: RecordArray, model: TenantModel, now_ms: int
) -> tuple[list[UserPrediction], list[bool]]:
    """`describe`, and of whom it had to be said what holds of somebody unknown.

    That is for a model that fails, and for each user of whom it, or her record, says what is no probability.
    """
    try:
        with np.errstate(all="ignore"):
            described = describe(records, model, now_ms)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        described = []
    sound = [_is_sound(prediction) for prediction in described] or [False] * len(records)
    if all(sound):
        return described, [False] * len(records)
    strangers = describe(empty_records(records["user_id"].tolist()), DEFAULTS, now_ms)
    said = [
        one if is_sound else stranger
        for one, stranger, is_sound in zip(described or strangers, strangers, sound, strict=True)
    ]
    return said, [not is_sound for is_sound in sound]


def _is_sound(prediction: UserPrediction) -> bool:
    """Whether all that it says are probabilities. NaN passes no comparison."""
    said = (*prediction.preferences.values(), *prediction.opens.values(), prediction.click)
    unknown = msgspec.structs.astuple(prediction.uncertainty)
    is_finite = all(enough > 0 for enough in prediction.weekly.values())
    return is_finite and all(0 <= chance <= 1 for chance in (*said, prediction.churn_risk, *unknown))


def calibrated(rates: FloatArray, by_channel: Sequence[tuple[float, float]]) -> FloatArray:
    """Rates [B, C] by the logistic calibration (a, b) of each channel: logit p = a + b · logit rate."""
    a, b = np.array(by_channel, np.float32).T
    logits = np.log(rates / (1 - rates))
    return np.asarray(1 / (1 + np.exp(-(a + b * logits))), np.float32)


def _rounded(values: FloatArray) -> list[list[float]]:
    """Rows of numbers with as many digits as they are worth, as doubles."""
    rows: list[list[float]] = np.round(values.astype(np.float64), _DIGITS).tolist()
    return rows
