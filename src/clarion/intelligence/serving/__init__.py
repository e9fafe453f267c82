"""Predictions at the moment of a decision."""

from __future__ import annotations

from clarion.intelligence.serving.forecasts import LearnedForecasts
from clarion.intelligence.serving.holdout import (
    EVERY_FEATURE,
    FEATURES,
    NO_MODEL,
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
from clarion.intelligence.serving.prior import NeutralPrior, Unfitted

__all__ = [
    "CLASSES",
    "EVERY_FEATURE",
    "FEATURES",
    "NO_MODEL",
    "FloatArray",
    "Forecast",
    "Forecasts",
    "LearnedForecasts",
    "LearnedPredictor",
    "ModelSource",
    "NeutralPrior",
    "Predictor",
    "Question",
    "Subject",
    "Unfitted",
    "held_out",
    "names_of_features",
    "switched_off",
]
