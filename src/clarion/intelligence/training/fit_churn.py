"""Fitting churn: by who came back within the horizon, of all who had been there before it, at instants of history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from clarion.intelligence.features.signs import Signs
from clarion.intelligence.models import ChurnParameters, churn
from clarion.intelligence.training.cuts import Cut, cut
from clarion.intelligence.training.search import Point, climb
from clarion.kernel.local_time import DAY_MS

MOST_CUTS: Final = 4
LEAST_USERS: Final = 200
"""Users at the cuts, together, without whom the parameters stay as they are."""

_GRIDS: Final = {
    "scale": (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0),
    "shape": (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0),
}
_LEAST: Final = 1e-4


def churn_cuts(signs: Signs, from_ms: int, to_ms: int, horizon_d: float) -> list[Cut]:
    """Instants of which the whole horizon is known; at least as long again comes before the first of them."""
    horizon_ms = int(horizon_d * DAY_MS)
    count = min(MOST_CUTS, (to_ms - from_ms) // max(horizon_ms, 1) - 1)
    times = [to_ms - horizon_ms * (nth + 1) for nth in reversed(range(max(int(count), 0)))]
    return cut(signs, times, horizon_ms) if times else []


def fit_churn(cuts: Sequence[Cut], base: ChurnParameters) -> ChurnParameters:
    """`base`, with scale and shape by which silence tells best who stays away. Pure; as it is where few were there."""
    were_there = [np.flatnonzero(one.records["seen_ms"] > 0) for one in cuts]
    if sum(map(len, were_there)) < LEAST_USERS:
        return base

    def score(point: Point) -> float:
        fitted = msgspec.structs.replace(base, scale=point["scale"], shape=point["shape"])
        total = users = 0.0
        for one, rows in zip(cuts, were_there, strict=True):
            risk = churn.churn_risk(one.records[rows], fitted, one.at_ms).astype(np.float64)
            risk = np.clip(risk, _LEAST, 1 - _LEAST)
            stayed_away = ~one.presence[rows].any(axis=(1, 2))
            total += float(np.log(np.where(stayed_away, risk, 1 - risk)).sum())
            users += len(rows)
        return total / users

    best, _ = climb(score, _GRIDS, {"scale": base.scale, "shape": base.shape})
    return msgspec.structs.replace(base, scale=best["scale"], shape=best["shape"])
