"""Trees upon the formulas, where a tenant's have proven themselves: they shift the odds of a user on a channel.

    records ─▶ 48 features, the formulas' rate ─▶ trees, beside the event loop, within the deadline ─▶ odds · e^added

Whom they have no answer for in time gets what the formulas say, and is flagged. So is nobody where no tenant has trees:
then nothing here costs anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import RecordArray
from clarion.intelligence.models import TenantModel
from clarion.intelligence.models.trees import (
    INPUTS,
    STALE_MS,
    DoubleArray,
    Trees,
    TreesSource,
    added_by,
    inputs_of,
)
from clarion.intelligence.serving.holdout import CHANNEL
from clarion.intelligence.serving.patience import Breaker, wait_within
from clarion.intelligence.serving.ports import Forecast, Predictor, Question, Subject
from clarion.kernel.clock import Clock
from clarion.kernel.local_time import IntArray

DEADLINE_S: Final = 0.010
PORTION: Final = 250
"""Users of one call: 750 rows take 2.3 ms on one core (120 trees of 8 leaves), and each portion has the deadline."""

PATIENCE: Final = 3
REST_S: Final = 1.0
NONSENSE_REST_S: Final = 60.0
"""For how long trees are left alone that had no sense for anybody: they will hardly come to it in a second."""

_C: Final = len(CHANNELS)
_LEAST: Final = np.float32(1e-4)

Why: TypeAlias = Literal["late", "resting", "nonsense"]


class Reranker:
    """Puts trees upon predictors. `tell`: called with each fall-back."""

    def __init__(self, trees: TreesSource, clock: Clock, tell: Callable[[Why], None]) -> None:
        self._trees = trees
        self._clock = clock
        self._tell = tell
        self._breaker = Breaker(clock, PATIENCE, REST_S)
        self._resting: dict[bytes, float] = {}

    async def rerank(
        self,
        predictor: Predictor,
        known: tuple[Sequence[Subject], RecordArray],
        models: Sequence[TenantModel],
        now_ms: int,
    ) -> Predictor:
        """`predictor`, with what the trees of these subjects' models add; itself where none has any that serve.

        `known`: the subjects, each once, and their records. Raises nothing of its own.
        """
        subjects, records = known
        waiting = [
            (place, model.trees)
            for place, (subject, model) in enumerate(zip(subjects, models, strict=True))
            if model.trees is not None
            and model.trees.serves
            and now_ms - model.trees.grown_ms <= STALE_MS
            and not subject.hidden & CHANNEL
            and records["as_of_ms"][place]
        ]
        if not waiting:
            return predictor
        asked = [place for place, _ in waiting]
        added = np.full((len(asked), _C), np.nan)
        if self._breaker.may_try():
            for rows in _by_artefact([trees.artefact for _, trees in waiting]):
                place, grown = waiting[int(rows[0])]
                opened = self._open(grown.artefact)
                if opened is None:
                    continue
                mine = records[np.array(asked)[rows]]
                in_time = await self._ask(opened, (mine, models[place], now_ms), added, rows)
                # Time is this process's, and sense is the trees' own: nobody rests for another tenant's nonsense.
                self._breaker.note(worked=in_time)
                if not in_time:
                    break
                if not np.isfinite(added[rows]).any():
                    self._resting[grown.artefact] = self._clock.monotonic() + NONSENSE_REST_S
        else:
            self._tell("resting")
        user_id = np.array([subjects[place].user_id for place in asked], np.int64)
        return RerankedPredictor(predictor, user_id, added, [trees.name for _, trees in waiting])

    def _open(self, artefact: bytes) -> Trees | None:
        """The trees of an artefact, if they are open and are not left alone."""
        until_s = self._resting.get(artefact)
        if until_s is not None:
            if self._clock.monotonic() < until_s:
                self._tell("resting")
                return None
            del self._resting[artefact]
        return self._trees.opened(artefact)

    async def _ask(
        self,
        trees: Trees,
        of: tuple[RecordArray, TenantModel, int],
        added: DoubleArray,
        rows: IntArray,
    ) -> bool:
        """Fill in `rows` of `added`, portion by portion; whether all came in time.

        The first portion that comes late is the last of the batch, whoever's trees were to be asked after it.
        """
        records, model, now_ms = of
        for start in range(0, len(rows), PORTION):
            portion = slice(start, start + PORTION)
            asking = asyncio.ensure_future(asyncio.to_thread(_added, trees, records[portion], model, now_ms))
            await wait_within([asking], self._clock, DEADLINE_S)
            if not asking.done():
                asking.add_done_callback(_let_go)
                self._tell("late")
                return False
            if asking.exception() is not None:
                self._tell("nonsense")
                return True
            found = asking.result()
            if not np.isfinite(found).all():
                self._tell("nonsense")
            added[rows[portion]] = found
        return True


class RerankedPredictor:
    """A `Predictor` whose odds are shifted by what trees added; who got nothing of them is flagged."""

    def __init__(self, inner: Predictor, user_id: IntArray, added: DoubleArray, names: Sequence[str]) -> None:
        """`user_id` [N]: who was asked about; `added` [N, C]: to the logit, NaN of whom there is nothing."""
        order = np.argsort(user_id, kind="stable")
        self._inner = inner
        self._user_id = user_id[order]
        self._times = np.exp(added[order]).astype(np.float32)
        self._answered: BoolArray = np.asarray(np.isfinite(added[order]).all(axis=1))
        self._names = [names[place] for place in order.tolist()]

    def predict(self, question: Question) -> Forecast:
        """What the formulas say, shifted; confidence and tiredness stay theirs."""
        forecast = self._inner.predict(question)
        found: IntArray = np.searchsorted(self._user_id, question.user_id)
        place: IntArray = np.minimum(found, len(self._user_id) - 1)
        asked: BoolArray = np.asarray(self._user_id[place] == question.user_id)
        told: BoolArray = asked & self._answered[place]
        rows = np.flatnonzero(told)
        chance = forecast.engagement[rows]
        odds = chance / (1 - chance) * self._times[place[rows]][:, :, None]
        forecast.engagement[rows] = np.clip(odds / (1 + odds), _LEAST, 1 - _LEAST)
        models = list(forecast.models)
        for row in rows.tolist():
            models[row] = f"{models[row]}+{self._names[place[row]]}"
        return Forecast(
            engagement=forecast.engagement,
            fatigue=forecast.fatigue,
            confidence=forecast.confidence,
            models=models,
            fallback=forecast.fallback | (asked & ~told),
        )


def _by_artefact(artefacts: Sequence[bytes]) -> Iterable[IntArray]:
    """Places of equal artefacts, side by side."""
    places: dict[bytes, list[int]] = {}
    for place, artefact in enumerate(artefacts):
        places.setdefault(artefact, []).append(place)
    return [np.array(found) for found in places.values()]


def _added(trees: Trees, records: RecordArray, model: TenantModel, now_ms: int) -> DoubleArray:
    """What trees add for users on each channel, [B, C]."""
    inputs = inputs_of(records, model.channel, now_ms).reshape(-1, len(INPUTS))
    chance = trees.expect(inputs)
    sound = (chance >= 0) & (chance <= 1)
    return np.where(sound, added_by(chance), np.nan).reshape(-1, _C)


def _let_go(asking: asyncio.Future[DoubleArray]) -> None:
    """Take note of how a call ended that nobody waits for."""
    if not asking.cancelled():
        asking.exception()
