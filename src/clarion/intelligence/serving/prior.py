"""The neutral prior: what holds of anybody, for as long as nothing has been learned of somebody.

It knows when people are up (a daily curve in local time) and which channel the user named as hers. Between the
channels it takes no side: ties go to the first in canonical order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from clarion.intelligence.serving.ports import FloatArray, Forecast, Question

MODEL: Final = "prior-1"

CONFIDENCE: Final = 0.1
LEVEL: Final = 0.12
"""Mean probability over the day. Low on purpose: even the preferred channel's best hour stays below 0.3, the score
that admits a further channel, so that a guess never makes two messages of one."""

PREFERRED: Final = 1.25
"""A channel that the user named as hers gets this much more."""

# fmt: off
WORKDAY: Final = (
    0.66, 0.49, 0.37, 0.29, 0.25, 0.27, 0.35, 0.55, 0.86, 1.20, 1.46, 1.57,
    1.59, 1.63, 1.71, 1.73, 1.63, 1.44, 1.22, 1.05, 0.98, 0.96, 0.93, 0.83,
)
WEEKEND: Final = (
    0.95, 0.73, 0.55, 0.44, 0.36, 0.33, 0.36, 0.47, 0.67, 0.92, 1.15, 1.32,
    1.38, 1.39, 1.40, 1.42, 1.42, 1.39, 1.32, 1.25, 1.21, 1.22, 1.22, 1.14,
)
# fmt: on
"""Presence by local hour (mean 1): 421,041 distinct active hours of the activity data described in `ml.md`, part B,
smoothed around the clock by a Gaussian of 1 h. On first-ever days, a window of 3 hours placed by such a curve catches
23.2 %, placed by UTC 15.8 % (part C5): the time zone is worth more than any model."""

_SATURDAY: Final = 5


class NeutralPrior:
    """A `Predictor` without parameters, state or history; nobody is ever tired."""

    def __init__(self) -> None:
        self._curve: FloatArray = np.array(WORKDAY + WEEKEND, np.float32) * np.float32(LEVEL)

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
            model=MODEL,
        )
