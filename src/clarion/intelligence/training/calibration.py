"""Whether what is predicted of hours comes true: how much of somebody's time they were given, and what they got."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.models import TenantModel, send_time
from clarion.intelligence.models.registered import Band
from clarion.intelligence.training.cuts import Cut

EDGES: Final = (0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.10, 0.13, 1.0)
"""Shares of a day's presence that an hour is given; a 24th is 0.042."""


def bands_of(model: TenantModel, cut: Cut, rows: npt.NDArray[np.intp]) -> tuple[Band, ...]:
    """By how much was given to an hour, what came of it in the future of these users; bands without hours are left out.

    A user weighs as much as she was there.
    """
    future = cut.presence[rows].astype(np.float64)
    given = send_time.curves(cut.records[rows], model.send_time, cut.at_ms) / send_time.HOURS
    weight = np.broadcast_to(future.sum(axis=2, keepdims=True), future.shape)
    place = np.clip(np.searchsorted(EDGES, given, side="right") - 1, 0, len(EDGES) - 2).ravel()
    sums = [np.bincount(place, values.ravel(), len(EDGES) - 1) for values in (given * weight, future, weight)]
    predicted, found, weights = sums
    total = weights.sum()
    return tuple(
        Band(round(float(p / w), 6), round(float(f / w), 6), round(float(w / total), 6))
        for p, f, w in zip(predicted, found, weights, strict=True)
        if w > 0
    )


def error_of(bands: tuple[Band, ...]) -> float:
    """How far off predictions are on average, by the weight of bands; 0: all come true."""
    return sum(band.weight * abs(band.predicted - band.found) for band in bands)
