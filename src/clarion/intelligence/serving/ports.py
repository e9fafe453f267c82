"""What a decision asks of a model. B: rows of the batch; C: channels in canonical order; H: hours weighed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.kernel.local_time import ClockArray, IntArray

FloatArray: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to write to, and which hours are weighed.

    `user_id` [B]; `preferred` [B]: index of the channel that the user named as hers, -1 where she named none; `hour`
    [B, H]: 0 to 23 and `weekday` [B, H]: 0 (Monday) to 6 in the user's own time zone; `at_ms` [B, H]: the start of
    each hour, UTC (hour 0 is an instant: the present, or the scheduled time).
    """

    user_id: IntArray
    preferred: IntArray
    hour: ClockArray
    weekday: ClockArray
    at_ms: IntArray
    channels: int = len(CHANNELS)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a model expects; the arrays are the asker's, who may write into them.

    `engagement` [B, C, H]: probability that the user engages, inside (0, 1).
    `fatigue` [B, C]: 0 (fresh) to 1 (tired of the channel). `confidence` [B]: 0 to 1. `model`: name and version.
    """

    engagement: FloatArray
    fatigue: FloatArray
    confidence: FloatArray
    model: str


class Predictor(Protocol):
    """A model as a decision sees it."""

    def predict(self, question: Question) -> Forecast:
        """The forecast for a batch. Pure: rows do not influence one another, and the same question has one answer."""
        ...
