"""`channels`: the scores of all channels of one user, and the chances of each where something is tried.

As in `send_time`: her record is read from Valkey, one user at a time, by the very forecasts of a decision.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.harness import Result, run_in_process
from bench.send_time import PREDICTIONS, measure, report
from clarion.intelligence.serving import Forecast
from clarion.orchestration.explore import channel_chances

BAR_MS: Final = 15.0


def score_channels(forecast: Forecast) -> object:
    """Each channel's best score, their order, and how probable each is in exploration."""
    best = forecast.engagement.max(axis=2)
    return (-best).argsort(axis=1), channel_chances(best, best.argmax(axis=1), np.array([-1]))


def run(predictions: int = PREDICTIONS) -> Result:
    """One user after another."""
    measured = run_in_process(measure, predictions, score_channels)
    return report("channels", "the scores of three channels", BAR_MS, measured)
