"""What every `Predictor` promises; the neutral prior and the scripted one keep it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import empty_records
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.serving import (
    CLASSES,
    Forecast,
    LearnedPredictor,
    NeutralPrior,
    Predictor,
    Question,
    Subject,
)
from clarion.testing.decisions import ScriptedPredictor

ROWS, HOURS = 17, 30

PREDICTORS = {
    "prior": NeutralPrior(),
    "learned": LearnedPredictor(
        [Subject(b"tenant", number) for number in range(ROWS)],
        empty_records(range(ROWS)),
        [DEFAULTS] * ROWS,
        now_ms=1_800_000_000_000,
    ),
    "scripted": ScriptedPredictor((0.2, 0.3, 0.4), peaks={1: 9}, fatigue=(0.0, 0.5, 1.0)),
}


@pytest.fixture(params=PREDICTORS)
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return PREDICTORS[request.param]


def make_question() -> Question:
    random = np.random.default_rng(7)
    return Question(
        user_id=np.arange(ROWS),
        preferred=random.integers(-1, len(CHANNELS), ROWS),
        hour=random.integers(0, 24, (ROWS, HOURS)).astype(np.int8),
        weekday=random.integers(0, 7, (ROWS, HOURS)).astype(np.int8),
        at_ms=random.integers(1_700_000_000_000, 1_900_000_000_000, (ROWS, HOURS)),
        class_=random.integers(0, len(CLASSES), ROWS),
    )


def arrays_of(forecast: Forecast) -> dict[str, list[float]]:
    return {f.name: getattr(forecast, f.name).tolist() for f in fields(forecast) if f.name != "models"}


def test_shapes_types_and_ranges(predictor: Predictor):
    forecast = predictor.predict(make_question())
    assert forecast.engagement.shape == (ROWS, len(CHANNELS), HOURS)
    assert forecast.fatigue.shape == (ROWS, len(CHANNELS))
    assert forecast.confidence.shape == (ROWS,)
    assert forecast.engagement.dtype == np.float32
    assert ((forecast.engagement > 0) & (forecast.engagement < 1)).all()
    assert ((forecast.fatigue >= 0) & (forecast.fatigue <= 1)).all()
    assert ((forecast.confidence >= 0) & (forecast.confidence <= 1)).all()
    assert all(forecast.models)
    assert len(forecast.models) == ROWS
    assert forecast.fallback.shape == (ROWS,)


def test_the_same_question_has_one_answer_and_the_arrays_belong_to_the_asker(predictor: Predictor):
    first = predictor.predict(make_question())
    kept = arrays_of(first)
    for array in (first.engagement, first.fatigue, first.confidence):
        array[:] = 0
    assert arrays_of(predictor.predict(make_question())) == kept


def test_rows_do_not_influence_one_another(predictor: Predictor):
    question = make_question()
    together = predictor.predict(question)
    for row in range(ROWS):
        one = slice(row, row + 1)
        alone = predictor.predict(
            Question(
                question.user_id[one],
                question.preferred[one],
                question.hour[one],
                question.weekday[one],
                question.at_ms[one],
                question.class_[one],
            )
        )
        assert alone.engagement.tolist() == together.engagement[one].tolist()
        assert alone.fatigue.tolist() == together.fatigue[one].tolist()
        assert alone.confidence.tolist() == together.confidence[one].tolist()
