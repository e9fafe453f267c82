"""The neutral prior: what holds of anybody, for as long as nothing has been learned of somebody.

It knows when people are up (a daily curve in local time) and which channel the user named as hers. Between the
channels it takes no side: ties go to the first in canonical order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.serving.ports import FloatArray, Forecast, Question

MODEL: Final = "prior-1"

CONFIDENCE: Final = 0.1
LEVEL: Final = 0.12
"""Mean probability over the day. Low on purpose: even the preferred channel's best hour stays below 0.3, the score
that admits a further channel, so that a guess never makes two messages of one."""

PREFERRED: Final = 1.25
"""A channel that the user named as hers gets this much more."""

_SATURDAY: Final = 5


class NeutralPrior:
    """A `Predictor` without parameters, state or history; nobody is ever tired."""

    def __init__(self) -> None:
        self._curve: FloatArray = np.concatenate(DEFAULTS.send_time.curves, dtype=np.float32) * np.float32(
            LEVEL
        )

    def predict(self, question: Question) -> Forecast:
        """The daily curve at each row's local hours, higher on her preferred channel."""
        rows = len(question.user_id)
        day_part = question.hour + np.int8(24) * (question.weekday >= _SATURDAY)
        preferred = question.preferred[:, None] == np.arange(question.channels)
        lift = np.where(preferred, np.float32(PREFERRED), np.float32(1))
        return Forecast(
            engagement=self._curve[day_part][:, None, :] * lift[:, :, None],
            fatigue=np.zeros((rows, question.channels), np.float32),
            confidence=np.full(rows, CONFIDENCE, np.float32),
            models=(MODEL,) * rows,
            fallback=np.zeros(rows, np.bool_),
        )


class Unfitted:
    """A `ModelSource` where nothing was fitted for any tenant."""

    def current(self, tenant_id: bytes) -> TenantModel:
        """The defaults."""
        del tenant_id
        return DEFAULTS

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        """Never: nothing was fitted that could be old."""
        del tenant_id, now_ms
        return False
