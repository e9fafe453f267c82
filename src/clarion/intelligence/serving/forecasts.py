"""Forecasts from what was learned: one read of records a batch, within a deadline, and the models in memory.

No send waits for a model. Where records cannot be had in time, users are strangers: what suits the population. Where a
model talks nonsense, the neutral prior answers in its place. Both are flagged (`Forecast.fallback`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.intelligence.features import FeatureStore, RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.models.trees import TreesSource
from clarion.intelligence.serving.holdout import EVERY_FEATURE, NO_MODEL
from clarion.intelligence.serving.patience import Breaker, wait_within
from clarion.intelligence.serving.ports import Forecast, ModelSource, Predictor, Question, Subject
from clarion.intelligence.serving.predict import LearnedPredictor
from clarion.intelligence.serving.prior import NeutralPrior
from clarion.intelligence.serving.rerank import Reranker
from clarion.kernel.clock import Clock
from clarion.kernel.local_time import IntArray

DEADLINE_S: Final = 0.010
"""The longest that a batch waits for a store that says nothing."""

PORTION: Final = 250
"""Users that are read at once: 250 kB, a millisecond. A batch of a thousand is no sign of a slow store."""

PATIENCE: Final = 3
"""So many reads in a row that fail before the store is left alone."""

REST_S: Final = 1.0
"""For how long; then one batch tries again."""

Why: TypeAlias = Literal["late", "away", "resting", "nonsense", "stale"]
"""Why less was used than should have been."""


class LearnedForecasts:
    """`Forecasts` by what was learned. `tell`: called with each fall-back."""

    def __init__(
        self,
        store: FeatureStore,
        models: ModelSource,
        clock: Clock,
        tell: Callable[[Why], None],
        trees: TreesSource | None = None,
    ) -> None:
        """`trees`: opens those that tenants' models have; None: none serve."""
        self._store = store
        self._reranker = None if trees is None else Reranker(trees, clock, tell)
        self._models = models
        self._clock = clock
        self._tell = tell
        self._breaker = Breaker(clock, PATIENCE, REST_S)

    async def prepare(self, subjects: Sequence[Subject]) -> Predictor:
        """A predictor for these users; see `Forecasts.prepare`. Users who are hidden altogether are not read."""
        known = _merge(subjects)
        wanted = [i for i, subject in enumerate(known) if subject.hidden & EVERY_FEATURE != EVERY_FEATURE]
        records = empty_records([subject.user_id for subject in known])
        missed = np.zeros(len(known), np.bool_)
        if wanted:
            found = await self._read([known[i].user_id for i in wanted])
            records[wanted[: len(found)]] = found
            missed[wanted[len(found) :]] = True
        try:
            now_ms = self._clock.now_ms()
            models = [
                DEFAULTS if subject.hidden & NO_MODEL else self._models.current(subject.tenant_id)
                for subject in known
            ]
            with np.errstate(all="ignore"):  # what comes of odd numbers is seen in the forecast
                predictor = LearnedPredictor(known, records, models, now_ms, missed)
            best: Predictor = self._flagged(predictor, known, now_ms)
            if self._reranker is not None:
                best = await self._reranker.rerank(best, (known, records), models, now_ms)
            return Careful(best, self._tell)
        except Exception:  # noqa: BLE001  whatever is wrong with a model, the message goes out
            self._tell("nonsense")
            return FlaggedPrior()

    def _flagged(self, predictor: Predictor, known: Sequence[Subject], now_ms: int) -> Predictor:
        """The predictor; it says so of users whose tenant's model is too old, and was not used."""
        stale = {
            tenant
            for tenant in {one.tenant_id for one in known if not one.hidden & NO_MODEL}
            if self._models.is_stale(tenant, now_ms)
        }
        if not stale:
            return predictor
        self._tell("stale")
        return Outdated(predictor, np.array([one.user_id for one in known if one.tenant_id in stale]))

    async def _read(self, user_ids: Sequence[int]) -> RecordArray:
        """Records of the first of these users: of as many as can be had in time, mostly all."""
        found = empty_records(user_ids)
        if not self._breaker.may_try():
            self._tell("resting")
            return found[:0]
        for start in range(0, len(user_ids), PORTION):
            portion = slice(start, start + PORTION)
            records = await self._read_portion(user_ids[portion])
            if records is None:
                self._breaker.note(worked=False)
                return found[:start]
            found[portion] = records
        self._breaker.note(worked=True)
        return found

    async def _read_portion(self, user_ids: Sequence[int]) -> RecordArray | None:
        """The users' records; None where they cannot be had in time."""
        reading = asyncio.ensure_future(self._store.read(user_ids))
        reading.add_done_callback(_let_go)
        try:
            await wait_within([reading], self._clock, DEADLINE_S)
        finally:
            in_time = reading.done()
            reading.cancel()
        if in_time and not reading.cancelled() and reading.exception() is None:
            return reading.result()
        self._tell("away" if in_time else "late")
        return None


class Outdated:
    """A `Predictor` by defaults of users for whom there was a model once: their forecasts are flagged."""

    def __init__(self, predictor: Predictor, user_ids: IntArray) -> None:
        self._predictor = predictor
        self._user_ids = user_ids

    def predict(self, question: Question) -> Forecast:
        """What the predictor says, flagged for these users."""
        forecast = self._predictor.predict(question)
        forecast.fallback[np.isin(question.user_id, self._user_ids)] = True
        return forecast


class Careful:
    """A `Predictor` that is not believed where it fails, or says what is no probability: the prior speaks for it."""

    def __init__(self, predictor: Predictor, tell: Callable[[Why], None]) -> None:
        self._predictor = predictor
        self._tell = tell

    def predict(self, question: Question) -> Forecast:
        """What the predictor says, row by row as far as it makes sense."""
        try:
            with np.errstate(all="ignore"):
                forecast = self._predictor.predict(question)
            sound = _is_sound(forecast)
        except Exception:  # noqa: BLE001  whatever is wrong with a model, the message goes out
            self._tell("nonsense")
            return FlaggedPrior().predict(question)
        if sound.all():
            return forecast
        self._tell("nonsense")
        return _mended(forecast, _PRIOR.predict(question), sound)


class FlaggedPrior:
    """The neutral prior, in place of something better."""

    def predict(self, question: Question) -> Forecast:
        """What the prior says, and that it is less than it should be."""
        forecast = _PRIOR.predict(question)
        forecast.fallback[:] = True
        return forecast


_PRIOR: Final = NeutralPrior()


def _merge(subjects: Sequence[Subject]) -> list[Subject]:
    """Each user once. One of whom several rows ask is hidden only from what is hidden from all of them."""
    merged: dict[int, Subject] = {}
    for subject in subjects:
        known = merged.get(subject.user_id)
        if known is not None and known.hidden != subject.hidden:
            merged[subject.user_id] = subject._replace(hidden=known.hidden & subject.hidden)
        elif known is None:
            merged[subject.user_id] = subject
    return list(merged.values())


def _is_sound(forecast: Forecast) -> BoolArray:
    """By row, whether every number is what it should be. NaN passes no comparison."""
    engagement, fatigue, confidence = forecast.engagement, forecast.fatigue, forecast.confidence
    low, high = engagement.min((1, 2)), engagement.max((1, 2))
    tired = (fatigue.min(1) >= 0) & (fatigue.max(1) <= 1)
    return (low > 0) & (high < 1) & tired & (confidence >= 0) & (confidence <= 1)


def _mended(forecast: Forecast, prior: Forecast, sound: BoolArray) -> Forecast:
    """The forecast with the prior's rows, flagged, where it is not sound."""
    return Forecast(
        engagement=np.where(sound[:, None, None], forecast.engagement, prior.engagement),
        fatigue=np.where(sound[:, None], forecast.fatigue, prior.fatigue),
        confidence=np.where(sound, forecast.confidence, prior.confidence),
        models=[
            mine if ok else its
            for mine, its, ok in zip(forecast.models, prior.models, sound.tolist(), strict=True)
        ],
        fallback=forecast.fallback | ~sound,
    )


def _let_go(reading: asyncio.Future[RecordArray]) -> None:
    """Take note of how a read ended that nobody may be waiting for."""
    if not reading.cancelled():
        reading.exception()
