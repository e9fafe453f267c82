"""What was learned, as a decision sees it: P(engage | user, channel, hour) for a whole batch.

    records, models ──▶ once a batch: by user, the odds of her channels and what each local hour multiplies them by
    question        ──▶ odds[b, c] · hour[b, d, h] · offsets[c, class, h], as a probability

A user of whom nothing is known has the population's curve in her own local time, and the population's rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models import TenantModel, send_time
from clarion.intelligence.serving.learned import CELLS, hours_of_regions, learn
from clarion.intelligence.serving.ports import FloatArray, Forecast, Question, Subject
from clarion.kernel.local_time import HOUR_MS, IntArray

_C: Final = len(CHANNELS)
_SATURDAY: Final = 5

_ROWS_AT_ONCE: Final = 256
"""Rows whose cells (3 channels, 72 hours, 4 bytes) stay in a core's second cache between two passes over them."""

_LEAST: Final = np.float32(1e-4)


class LearnedPredictor:
    """A `Predictor` of users whose records were read, each by the model of her tenant."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        records: RecordArray,
        models: Sequence[TenantModel],
        now_ms: int,
        fallback: BoolArray | None = None,
    ) -> None:
        """One record and one model per subject, in order; repeats are fine.

        `records` may be of any instant: they count as they weigh at `now_ms`, and an empty one is somebody unknown.
        `fallback` [N]: of whom the record could not be had, or the model not used (None: nobody); she is somebody
        unknown too, and it is said of her. A user who repeats is hidden from a feature where all her subjects are.
        """
        distinct: dict[int, TenantModel] = {id(model): model for model in models}
        places = {key: place for place, key in enumerate(distinct)}
        self._models: tuple[TenantModel, ...] = tuple(distinct.values())
        self._offsets = [_offsets(model) for model in self._models]
        self._names = [model.name for model in self._models]
        self._learned = learn(
            subjects,
            records,
            (self._models, np.fromiter((places[id(model)] for model in models), np.int64, len(models))),
            np.zeros(len(subjects), np.bool_) if fallback is None else fallback,
            now_ms,
        )

        self._hours, self._first_region = self._learned.hours.ravel(), len(self._learned.user_id)
        if self._learned.stranger.any() and any(model.send_time.regions for model in self._models):
            regions = [hours_of_regions(model) for model in self._models]
            self._hours = np.concatenate([self._learned.hours, *regions]).ravel()

    def predict(self, question: Question) -> Forecast:
        """The forecast for a batch of decisions about the subjects, and no others.

        Raises KeyError for a user who is none of them.
        """
        learned = self._learned
        row = learned.rows_of(question.user_id)
        of_model: list[int] = learned.model[row].tolist()
        return Forecast(
            engagement=self._engagement(question, row),
            fatigue=learned.tired[row],
            confidence=learned.confidence[row],
            models=[self._names[place] for place in of_model],
            fallback=learned.fallback[row],
        )

    def _engagement(self, question: Question, row: IntArray) -> FloatArray:
        rows, hours = question.hour.shape
        found = np.empty((rows, _C, hours), np.float32)
        cell = question.hour + np.int8(send_time.HOURS) * (question.weekday >= _SATURDAY)
        cell = cell.astype(np.intp)
        odds = np.where(
            question.preferred[:, None] == np.arange(_C), self._learned.named[row], self._learned.odds[row]
        )
        curve = self._curves_of(question, row)
        for start in range(0, rows, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            at = cell[part] + curve[part, None] * CELLS
            times = self._hours.take(at)
            cells = np.multiply(odds[part, :, None], times[:, None, :], out=found[part])
            self._add_offsets(cells, row[part], question.class_[part], cell[part])
            cells /= 1 + cells
            np.clip(cells, _LEAST, 1 - _LEAST, out=cells)
        return found

    def _curves_of(self, question: Question, row: IntArray) -> IntArray:
        """The rows of `_hours` that are each row's: her own, or those of her part of the world."""
        if len(self._hours) == self._learned.hours.size:
            return row
        ahead_h = question.hour[:, 0].astype(np.int64) - question.at_ms[:, 0] // HOUR_MS
        of_region = self._first_region + self._learned.model[row] * send_time.REGIONS
        return np.where(self._learned.stranger[row], of_region + send_time.region_of(ahead_h), row)

    def _add_offsets(self, cells: FloatArray, row: IntArray, class_: IntArray, cell: IntArray) -> None:
        """Multiply odds [B, C, H] by what their models say of hours by channel and class of message."""
        model = self._learned.model[row]
        for place, offsets in enumerate(self._offsets):
            chosen = np.flatnonzero(model == place)
            if offsets is None or not len(chosen):
                continue
            by_class = offsets[class_[chosen]]
            hours = cell[chosen, None, :] % send_time.HOURS
            cells[chosen] *= np.take_along_axis(by_class, hours, axis=2)


@lru_cache(maxsize=256)
def _offsets_of(
    by_channel: tuple[tuple[float, ...], ...], by_class: tuple[tuple[float, ...], ...]
) -> FloatArray | None:
    logs = np.array(by_class, np.float32)[:, None, :] + np.array(by_channel, np.float32)[None, :, :]
    return np.exp(logs) if logs.any() else None


def _offsets(model: TenantModel) -> FloatArray | None:
    """What a model's offsets multiply odds by, [class, C, 24]; None where it has none."""
    return _offsets_of(model.send_time.by_channel, model.send_time.by_class)
