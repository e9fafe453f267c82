"""Predictions: when and where a user engages."""

from __future__ import annotations
