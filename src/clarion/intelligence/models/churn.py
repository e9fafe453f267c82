"""Whether somebody comes back: survival of her silence, in units of her own rhythm.

    S(t)  = 1 / (1 + (t / (scale · rhythm)) ^ shape)          still silent t after her last sign
    risk  = S(silence + horizon) / S(silence)                  no sign within the horizon either

A rhythm is the mean time between her visits, drawn towards the population's as far as few visits are known.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models.model import ChurnParameters
from clarion.kernel.local_time import DAY_MS, HOUR_MS

FloatArray = npt.NDArray[np.float32]

RHYTHM_H: Final = 7 * 24.0
"""Hours between the visits of somebody unknown."""

GAPS: Final = 2.0
"""So many gaps that rhythm is worth."""


def churn_risk(records: RecordArray, parameters: ChurnParameters, now_ms: int) -> FloatArray:
    """Probability, [B], that a user gives no sign within `horizon_d` days of `now_ms` (UTC ms)."""
    gaps, weight = records["gap_h"].astype(np.float64).T
    rhythm_ms = (gaps + GAPS * RHYTHM_H) / (weight + GAPS) * HOUR_MS * parameters.scale
    seen = records["seen_ms"] > 0
    silence_ms = np.where(seen, np.maximum(now_ms - records["seen_ms"], 0), 0)
    later_ms = silence_ms + parameters.horizon_d * DAY_MS
    now, then = ((t / rhythm_ms) ** parameters.shape for t in (silence_ms, later_ms))
    risk: FloatArray = ((1 + now) / (1 + then)).astype(np.float32)
    return risk


def certainty(records: RecordArray) -> FloatArray:
    """How much of a user's rhythm is her own, [B], 0 (all of it is the population's) to 1."""
    weight = records["gap_h"][:, 1]
    return np.asarray(weight / (weight + GAPS), np.float32)
