"""What a decision asks of a model. B: rows of the batch; C: channels in canonical order; H: hours weighed.

Two steps, because a decision is pure: `Forecasts.prepare` reads (what is known of the users, and asks a remote model,
if there is one), and gives a `Predictor`, which only computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.models import TenantModel
from clarion.kernel.local_time import ClockArray, IntArray

FloatArray: TypeAlias = npt.NDArray[np.float32]

CLASSES: Final[tuple[str, ...]] = ("transactional", "service", "marketing")
"""Classes of categories, in the order in which arrays and models have them. Append only."""


class Subject(NamedTuple):
    """Whom a forecast is about. `hidden`: mask of the features (`holdout`) to which she is a stranger this time."""

    tenant_id: bytes
    user_id: int
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to write to, and which hours are weighed.

    `user_id` [B]; `preferred` [B]: index of the channel that the user named as hers, -1 where she named none; `hour`
    [B, H]: 0 to 23 and `weekday` [B, H]: 0 (Monday) to 6 in the user's own time zone; `at_ms` [B, H]: the start of
    each hour, UTC (hour 0 is an instant: the present, or the scheduled time). `class_` [B]: index of the category's
    class in `CLASSES`.
    """

    user_id: IntArray
    preferred: IntArray
    hour: ClockArray
    weekday: ClockArray
    at_ms: IntArray
    class_: IntArray
    channels: int = len(CHANNELS)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a model expects; the arrays are the asker's, who may write into them.

    `engagement` [B, C, H]: probability that the user engages, inside (0, 1).
    `fatigue` [B, C]: 0 (fresh) to 1 (tired of the channel). `confidence` [B]: 0 to 1. `models` [B]: name and version of
    what was asked. `fallback` [B]: whether that is less than what should have been asked (a store or a model was away,
    late, or talked nonsense): such a row is flagged `ml_fallback`.
    """

    engagement: FloatArray
    fatigue: FloatArray
    confidence: FloatArray
    models: Sequence[str]
    fallback: BoolArray


class Predictor(Protocol):
    """A model as a decision sees it."""

    def predict(self, question: Question) -> Forecast:
        """The forecast for a batch. Pure: rows do not influence one another, and the same question has one answer."""
        ...


class Forecasts(Protocol):
    """Where decisions get their model from."""

    async def prepare(self, subjects: Sequence[Subject]) -> Predictor:
        """A predictor for a batch of decisions about these users (repeats are fine), and for no others.

        Waits no longer than 10 ms for whatever does not answer, and never raises: what cannot be had by then is
        predicted from less, and says so.
        """
        ...


class ModelSource(Protocol):
    """The models in force, in memory: reading one waits for nothing."""

    def current(self, tenant_id: bytes) -> TenantModel:
        """What serves the tenant now; `DEFAULTS` where nothing was fitted. Swapped as a whole, never half."""
        ...

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        """Whether what was fitted is too old to be used at an instant (UTC ms), so that the defaults serve instead."""
        ...
