"""What was learned, as a decision sees it: P(engage | user, channel, hour) for a whole batch.

    records, models ──▶ once a batch: by user, the odds of her channels and what each local hour multiplies them by
    question        ──▶ odds[b, c] · hour[b, d, h] · offsets[c, class, h], as a probability

A user of whom nothing is known has the population's curve in her own local time, and the population's rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.decay import CHANNEL as CHANNEL_BANK
from clarion.intelligence.features.decay import share_left
from clarion.intelligence.features.record import CHANNEL_HALF_LIVES_D, RecordArray, empty_records
from clarion.intelligence.models import TenantModel, channel, send_time
from clarion.intelligence.serving.holdout import CHANNEL, SEND_TIME
from clarion.intelligence.serving.ports import FloatArray, Forecast, Question, Subject
from clarion.intelligence.serving.prior import CONFIDENCE, PREFERRED
from clarion.kernel.local_time import IntArray

_C: Final = len(CHANNELS)
_CELLS: Final = send_time.DAY_TYPES * send_time.HOURS
_SATURDAY: Final = 5
_DAYS_OF_WEEK: Final = 7

_ROWS_AT_ONCE: Final = 256
"""Rows whose cells (3 channels, 72 hours, 4 bytes) stay in a core's second cache between two passes over them."""

_LEAST: Final = np.float32(1e-4)


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """Of S distinct users, ordered by number, everything that does not depend on the question."""

    user_id: IntArray
    hours: FloatArray  # [S, 48]: what an hour multiplies odds by, by day type and local hour
    odds: FloatArray  # [S, 1 + C, C]: of an answer, where no channel is named as hers, or the first, the second, …
    tired: FloatArray  # [S, C]
    confidence: FloatArray  # [S]
    model: IntArray  # [S]: which of the batch's distinct models
    fallback: BoolArray  # [S]


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
        self._learned = self._learn(
            subjects,
            records,
            np.fromiter((places[id(model)] for model in models), np.int64, len(models)),
            np.zeros(len(subjects), np.bool_) if fallback is None else fallback,
            now_ms,
        )

    def predict(self, question: Question) -> Forecast:
        """The forecast for a batch of decisions about the subjects, and no others.

        Raises KeyError for a user who is none of them.
        """
        learned = self._learned
        row = np.searchsorted(learned.user_id, question.user_id)
        row[row == len(learned.user_id)] = 0
        if not np.array_equal(learned.user_id[row], question.user_id):
            raise KeyError("a forecast was asked about a user for whom none was prepared")
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
        for start in range(0, rows, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            at = cell[part] + row[part, None] * _CELLS
            times = self._learned.hours.ravel().take(at)
            odds = self._learned.odds[row[part], question.preferred[part] + 1]
            cells = np.multiply(odds[:, :, None], times[:, None, :], out=found[part])
            self._add_offsets(cells, row[part], question.class_[part], cell[part])
            cells /= 1 + cells
            np.clip(cells, _LEAST, 1 - _LEAST, out=cells)
        return found

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

    def _learn(
        self,
        subjects: Sequence[Subject],
        records: RecordArray,
        model: IntArray,
        fallback: BoolArray,
        now_ms: int,
    ) -> _Learned:
        numbers = np.array([subject.user_id for subject in subjects], np.int64)
        user_id, first, which = np.unique(numbers, return_index=True, return_inverse=True)
        hidden = np.full(len(user_id), -1, np.int64)
        np.bitwise_and.at(hidden, which, np.array([subject.hidden for subject in subjects], np.int64))
        learned = _Learned(
            user_id=user_id,
            hours=np.empty((len(user_id), _CELLS), np.float32),
            odds=np.empty((len(user_id), 1 + _C, _C), np.float32),
            tired=np.empty((len(user_id), _C), np.float32),
            confidence=np.empty(len(user_id), np.float32),
            model=model[first],
            fallback=fallback[first],
        )
        chosen = records[first]
        if learned.fallback.any():
            chosen[learned.fallback] = empty_records(user_id[learned.fallback].tolist())
        unknown = chosen["as_of_ms"] == 0
        for place, fitted in enumerate(self._models):
            rows = np.flatnonzero((learned.model == place) & ~unknown)
            if rows.size:
                _learn_users(learned, rows, chosen[rows], hidden[rows], (fitted, now_ms))
            strangers = np.flatnonzero((learned.model == place) & unknown)
            if strangers.size:
                # All alike: once for all of them.
                one = strangers[:1]
                _learn_users(learned, one, chosen[one], hidden[one], (fitted, now_ms))
                for values in (learned.hours, learned.odds, learned.tired, learned.confidence):
                    values[strangers] = values[one]
        return learned


def _learn_users(
    learned: _Learned,
    rows: IntArray,
    records: RecordArray,
    hidden: IntArray,
    by: tuple[TenantModel, int],
) -> None:
    """Fill in `rows` of `learned`, by the model and at the instant `by`."""
    fitted, now_ms = by
    times, certain = _times(records, fitted, now_ms, (hidden & SEND_TIME) > 0)
    learned.hours[rows] = times.reshape(-1, _CELLS)
    user = channel.known(records, fitted.channel, now_ms)
    stranger = (hidden & CHANNEL) > 0
    for values in user:
        values[stranger] = 0
    for named in range(-1, _C):
        lift = np.where(np.arange(_C) == named, np.float32(PREFERRED), np.float32(1))
        rates = channel.rates(user, fitted.channel, lift)
        learned.odds[rows, named + 1] = rates / (1 - rates)
    learned.tired[rows] = _tired(records, fitted, now_ms)
    known = (certain + channel.certainty(user, fitted.channel)) / 2
    learned.confidence[rows] = CONFIDENCE + (1 - CONFIDENCE) * known


def _times(
    records: RecordArray, fitted: TenantModel, now_ms: int, stranger: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """What hours multiply odds by, [B, 2, 24], and how much of that is each user's own, [B]."""
    counted = send_time.presence(records, fitted.send_time.mix, now_ms)
    counted[stranger] = 0
    by_type = send_time.posterior(counted, fitted.send_time)
    times = send_time.answer_odds(records, by_type, fitted.send_time, now_ms)
    if stranger.any():
        population = send_time.reached(send_time.population_curves(fitted.send_time), fitted.send_time)
        times[stranger] = population ** np.float32(fitted.send_time.elasticity)
    return times, send_time.certainty(counted, fitted.send_time)


def _tired(records: RecordArray, fitted: TenantModel, now_ms: int) -> FloatArray:
    """The share of a wholly tiring week that was sent to each user by channel, [B, C]."""
    left = share_left(np.maximum(now_ms - records["as_of_ms"], 0))[:, CHANNEL_BANK[0]]
    sent: FloatArray = records["sent"][:, 0] * left[:, None]
    weekly = sent * np.float32(np.log(2) * _DAYS_OF_WEEK / CHANNEL_HALF_LIVES_D[0])
    return np.minimum(weekly / np.array(fitted.fatigue.weekly, np.float32), 1)


@lru_cache(maxsize=256)
def _offsets_of(
    by_channel: tuple[tuple[float, ...], ...], by_class: tuple[tuple[float, ...], ...]
) -> FloatArray | None:
    logs = np.array(by_class, np.float32)[:, None, :] + np.array(by_channel, np.float32)[None, :, :]
    return np.exp(logs) if logs.any() else None


def _offsets(model: TenantModel) -> FloatArray | None:
    """What a model's offsets multiply odds by, [class, C, 24]; None where it has none."""
    return _offsets_of(model.send_time.by_channel, model.send_time.by_class)
