"""For tests of decisions: drafts, cards and a predictor that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from clarion.audience.model import Card
from clarion.compliance.model import ConsentState
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.serving import FloatArray, Forecast, Question
from clarion.orchestration.model import Draft
from clarion.tenancy.model import ALL_CHANNELS, DEFAULT_CATEGORIES, Category

SECURITY, TRANSACTIONAL, SERVICE, MARKETING = DEFAULT_CATEGORIES

AGREED: Final = ConsentState(granted={"*": ALL_CHANNELS})
"""Consent to everything."""

_DRAFT: Final = Draft(SERVICE, 5, ALL_CHANNELS, ALL_CHANNELS, "optimal", "now")
_CARD: Final = Card(1, 1, "u1", "UTC", "en", "AU", "", ALL_CHANNELS, AGREED)


def make_draft(category: Category = SERVICE, **changes: Any) -> Draft:
    """A draft that may go at once on any channel; `changes` are fields of `Draft`."""
    return msgspec.structs.replace(_DRAFT, category=category, **changes)


def make_card(user_id: int = 1, **changes: Any) -> Card:
    """The card of a user in UTC who has every channel and agreed to everything; `changes`: fields of `Card`.

    She is in Australia, whose law knows no hours: what a test says of time is all there is.
    """
    return msgspec.structs.replace(_CARD, user_id=user_id, external_id=f"u{user_id}", **changes)


class ScriptedPredictor:
    """A `Predictor` that gives each channel its engagement at every hour, and twice that at its own peak.

    `peaks`: local hour by channel index. `fatigue`: by channel.
    """

    def __init__(
        self,
        engagement: Sequence[float] = (0.2, 0.2, 0.2),
        *,
        peaks: dict[int, int] | None = None,
        fatigue: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self._engagement: FloatArray = np.array(engagement, np.float32)
        self._peaks = peaks or {}
        self._fatigue: FloatArray = np.array(fatigue, np.float32)

    def predict(self, question: Question) -> Forecast:
        """The script, for every user alike."""
        rows, hours = len(question.user_id), question.hour.shape[1]
        engagement = np.empty((rows, len(CHANNELS), hours), np.float32)
        engagement[:] = self._engagement[:, None]
        for channel, peak in self._peaks.items():
            engagement[:, channel] *= np.where(question.hour == peak, np.float32(2), np.float32(1))
        fatigue = np.broadcast_to(self._fatigue, (rows, len(CHANNELS))).copy()
        confidence = np.full(rows, 0.5, np.float32)
        return Forecast(engagement, fatigue, confidence, ("script-1",) * rows, np.zeros(rows, np.bool_))
