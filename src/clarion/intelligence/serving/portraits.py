"""What profiles say of users: features, how engaged they are, when to write to them, and what they are called."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import NAMES, RecordArray, compute
from clarion.intelligence.features.ports import Portrait
from clarion.intelligence.models.model import TenantModel
from clarion.intelligence.models.segments import segments_of
from clarion.intelligence.models.send_time import all_days, answer_odds, best_hours, curves
from clarion.intelligence.serving.ports import FloatArray, ModelSource

BEST_HOURS: Final = 3
"""How many hours a profile names for each channel, best first."""

_DIGITS: Final = 4
_SCORES: Final = {
    "overall": NAMES.index("engagement_score"),
    "email": NAMES.index("email_open_rate_90d"),
    "push": NAMES.index("push_open_rate_90d"),
    "sms": NAMES.index("sms_click_rate_90d"),
}
"""What `engagement_scores` says, and of which feature it is."""

_encode: Final = msgspec.json.Encoder().encode


class ModelPainter:
    """`intelligence.features.Painter` by the models that serve now."""

    def __init__(self, models: ModelSource) -> None:
        self._models = models

    async def paint(self, tenant_id: bytes, records: RecordArray, now_ms: int) -> list[Portrait]:
        """A portrait of each record; see `Painter.paint`. Waits for nothing."""
        model = self._models.current(tenant_id)
        features = compute(records, now_ms)
        times = best_times(records, model, now_ms)
        segments = segments_of(records, model, now_ms)
        return [
            Portrait(
                _encode(dict(zip(NAMES, row, strict=True))),
                _encode({name: row[index] for name, index in _SCORES.items()}),
                _encode(best),
                _encode(names),
            )
            for row, best, names in zip(_rounded(features), times, segments, strict=True)
        ]


def best_times(records: RecordArray, model: TenantModel, now_ms: int) -> list[dict[str, list[str]]]:
    """The best local times of each user by channel, as "HH:MM", best first: by what decisions weigh hours by."""
    by_type = curves(records, model.send_time, now_ms)
    curve = all_days(answer_odds(records, by_type, model.send_time, now_ms))
    by_channel = [
        best_hours(curve * np.exp(np.array(model.send_time.by_channel[index], np.float32)), BEST_HOURS)
        for index in range(len(CHANNELS))
    ]
    hours: list[list[list[int]]] = np.stack(by_channel, axis=1).tolist()
    return [
        {name: [f"{hour:02}:00" for hour in best] for name, best in zip(CHANNELS, of_user, strict=True)}
        for of_user in hours
    ]


def _rounded(features: FloatArray) -> list[list[float]]:
    """Rows of numbers with as many digits as they are worth, as doubles: 0.7 is written 0.7."""
    rows: list[list[float]] = np.round(features.astype(np.float64), _DIGITS).tolist()
    return rows
