"""A model of the operator's own, on a server elsewhere, in place of ours where it answers in time and makes sense.

    subjects ─┬─▶ our own forecasts (`local`) ───────────────────┐
              └─▶ records ─▶ 48 features ─▶ server ─▶ tables ────┴─▶ its hours and channels; ours where it fails

What leaves this process are numbers: the features of `features.definitions`, in their order, and no user's id. Users
in a hold-out are not asked about, since they are strangers to whatever was learned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import FeatureStore, compute
from clarion.intelligence.models.send_time import DAY_TYPES, HOURS
from clarion.intelligence.serving.forecasts import DEADLINE_S, PATIENCE, REST_S, Why
from clarion.intelligence.serving.patience import Breaker, wait_within
from clarion.intelligence.serving.ports import FloatArray, Forecast, Forecasts, Predictor, Question, Subject
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Permanent, Transient
from clarion.kernel.local_time import IntArray

TABLE: Final = (len(CHANNELS), DAY_TYPES, HOURS)
"""Of one user: P(engage) by channel, day type (0: Monday to Friday) and local hour."""

PORTION: Final = 100
"""Users of one call. Several calls run side by side; what has not answered at the deadline is done without."""

_SATURDAY: Final = 5
_LEAST: Final = np.float32(1e-4)

Tables = npt.NDArray[np.float64]


class RemoteModel(Protocol):
    """A model on a server."""

    @property
    def name(self) -> str:
        """As decisions quote it: name, and version if it is pinned."""
        ...

    async def ask(self, features: FloatArray) -> Tables:
        """The tables [B, *TABLE] of users whose features [B, 48] these are, as the server gave them.

        Numbers are not checked: they may be NaN, or no probabilities. Raises Transient where the server is away or
        busy, Permanent where it refuses, or answers in another shape.
        """
        ...


class RemoteForecasts:
    """`Forecasts` of a remote model upon local ones. `tell`: called with each fall-back."""

    def __init__(
        self,
        local: Forecasts,
        store: FeatureStore,
        model: RemoteModel,
        clock: Clock,
        tell: Callable[[Why], None],
    ) -> None:
        self._local = local
        self._store = store
        self._model = model
        self._clock = clock
        self._tell = tell
        self._breaker = Breaker(clock, PATIENCE, REST_S)

    async def prepare(self, subjects: Sequence[Subject]) -> Predictor:
        """A predictor for these users; see `Forecasts.prepare`. Reading and asking share one deadline."""
        hidden: dict[int, int] = {}
        for subject in subjects:
            hidden[subject.user_id] = hidden.get(subject.user_id, subject.hidden) & subject.hidden
        asked = sorted(user_id for user_id, mask in hidden.items() if not mask)
        local, tables = await asyncio.gather(self._local.prepare(subjects), self._tables(asked))
        return RemotePredictor(local, self._model.name, np.array(asked, np.int64), tables)

    async def _tables(self, user_ids: Sequence[int]) -> FloatArray:
        """The users' tables, in order; NaN where there is none that can be used."""
        found = np.full((len(user_ids), *TABLE), np.nan, np.float32)
        if not user_ids:
            return found
        if not self._breaker.may_try():
            self._tell("resting")
            return found
        starts = range(0, len(user_ids), PORTION)
        calls = [asyncio.ensure_future(self._ask(user_ids[start : start + PORTION])) for start in starts]
        try:
            await wait_within(calls, self._clock, DEADLINE_S)
        finally:
            for call in calls:
                call.cancel()
        whys: set[Why] = set()
        for call, start in zip(calls, starts, strict=True):
            why = self._take(call, found[start : start + PORTION])
            if why is not None:
                whys.add(why)
        for why in sorted(whys):
            self._tell(why)
        # Nonsense counts too: who talks it of everybody need not be asked for it each time.
        self._breaker.note(worked=not np.isnan(found[:, 0, 0, 0]).all())
        return found

    async def _ask(self, user_ids: Sequence[int]) -> Tables:
        records = await self._store.read(user_ids)
        return await self._model.ask(compute(records, self._clock.now_ms()))

    def _take(self, call: asyncio.Future[Tables], into: FloatArray) -> Why | None:
        """Fill in what makes sense of an answer, row by row; why something did not."""
        if not call.done() or call.cancelled():
            return "late"
        match call.exception():
            case None:
                pass
            case Transient():
                return "away"
            case _:  # whatever is wrong with a model, the message goes out
                return "nonsense"
        tables = call.result()
        if tables.shape != into.shape:
            return "nonsense"
        sound = ((tables >= 0) & (tables <= 1)).all((1, 2, 3))  # NaN passes no comparison
        into[sound] = np.clip(tables[sound], _LEAST, 1 - _LEAST)
        return None if sound.all() else "nonsense"


class RemotePredictor:
    """A `Predictor` by tables of a remote model; the local one answers for users without, and they are flagged."""

    def __init__(self, local: Predictor, name: str, user_ids: IntArray, tables: FloatArray) -> None:
        """`user_ids` [N], rising: who was asked about; `tables` [N, *TABLE]: NaN of whom there was no answer."""
        self._local = local
        self._name = name
        self._user_ids = user_ids
        self._tables = tables
        self._answered = ~np.isnan(tables[:, 0, 0, 0])

    def predict(self, question: Question) -> Forecast:
        """The remote model's odds of hours and channels; tiredness and confidence as we know them ourselves."""
        forecast = self._local.predict(question)
        place = np.searchsorted(self._user_ids, question.user_id)
        asked = np.isin(question.user_id, self._user_ids)
        rows = np.flatnonzero(asked)
        rows = rows[self._answered[place[rows]]]
        tables = self._tables[place[rows]]
        weekend = (question.weekday[rows] >= _SATURDAY).astype(np.intp)
        at = np.arange(len(rows))[:, None]
        forecast.engagement[rows] = tables[at, :, weekend, question.hour[rows]].transpose(0, 2, 1)
        models = list(forecast.models)
        for row in rows.tolist():
            models[row] = self._name
        silent = asked.copy()
        silent[rows] = False
        return Forecast(
            engagement=forecast.engagement,
            fatigue=forecast.fatigue,
            confidence=forecast.confidence,
            models=models,
            fallback=forecast.fallback | silent,
        )


def tables_of(answer: object, users: int) -> Tables:
    """An answer's numbers, nested or in a row, as tables [users, *TABLE]; what is null is NaN.

    Raises Permanent where they are no numbers, or not as many.
    """
    try:
        numbers: Tables = np.asarray(answer, np.float64)
        return numbers.reshape(users, *TABLE)
    except (ValueError, TypeError):
        raise Permanent(f"the model server's answer is no table of {(users, *TABLE)} numbers") from None
