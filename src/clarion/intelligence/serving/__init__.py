"""Predictions at the moment of a decision."""

from __future__ import annotations

from clarion.intelligence.serving.ports import FloatArray, Forecast, Predictor, Question
from clarion.intelligence.serving.prior import NeutralPrior

__all__ = ["FloatArray", "Forecast", "NeutralPrior", "Predictor", "Question"]
