"""Judging models on what people did, by the code that serves and learns."""

from __future__ import annotations

from clarion.intelligence.training.evaluate.activity import Activity, arrange
from clarion.intelligence.training.evaluate.report import Row
from clarion.intelligence.training.evaluate.run import Report, evaluate
from clarion.intelligence.training.evaluate.walk import Tell

__all__ = ["Activity", "Report", "Row", "Tell", "arrange", "evaluate"]
