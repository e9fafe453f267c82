"""Predictions at the moment of a decision."""

from __future__ import annotations

from clarion.intelligence.serving.holdout import (
    EVERY_FEATURE,
    FEATURES,
    held_out,
    names_of_features,
    switched_off,
)
from clarion.intelligence.serving.ports import (
    CLASSES,
    FloatArray,
    Forecast,
    Forecasts,
    ModelSource,
    Predictor,
    Question,
    Subject,
)
from clarion.intelligence.serving.predict import LearnedPredictor
from clarion.intelligence.serving.prior import NeutralPrior, PriorForecasts

__all__ = [
    "CLASSES",
    "EVERY_FEATURE",
    "FEATURES",
    "FloatArray",
    "Forecast",
    "Forecasts",
    "LearnedPredictor",
    "ModelSource",
    "NeutralPrior",
    "Predictor",
    "PriorForecasts",
    "Question",
    "Subject",
    "held_out",
    "names_of_features",
    "switched_off",
]
