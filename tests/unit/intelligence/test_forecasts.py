"""Forecasts when all is well, and when the store or the model is away, late, or talks nonsense."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import numpy as np
import pytest

from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import (
    DEFAULTS,
    ChannelParameters,
    FatigueParameters,
    SendTimeParameters,
    TenantModel,
)
from clarion.intelligence.serving import EVERY_FEATURE, NO_MODEL, Forecast, NeutralPrior, Question, Subject
from clarion.intelligence.serving.forecasts import (
    DEADLINE_S,
    PATIENCE,
    PORTION,
    REST_S,
    Careful,
    LearnedForecasts,
)
from clarion.kernel.clock import Clock, StoreClock

NOW = 1_795_608_000_000  # Wednesday 2026-11-25 12:00 UTC
EVENING = 20
TENANT = b"t" * 16
ADA, BOB, CEM = (Subject(TENANT, number) for number in (1, 2, 3))


class Store:
    """A `FeatureStore` whose reads do as they are told. Everybody is there at 20 h, and answered on SMS."""

    def __init__(self) -> None:
        self.reads: list[list[int]] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.torn: list[int] = []
        """Users whose records say what cannot be."""

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        self.reads.append(list(user_ids))
        if self.before is not None:
            await self.before()
        records = empty_records(user_ids)
        records["as_of_ms"] = NOW
        records["presence"][:, :, :, EVENING] = 100
        records["presence"][np.isin(records["user_id"], self.torn)] = np.nan
        records["sent"][:, :, 2] = records["opened"][:, :, 2] = 100
        return records

    async def write(self, records: RecordArray) -> list[bool]:
        raise NotImplementedError

    async def drop(self, user_ids: Sequence[int]) -> None:
        raise NotImplementedError


class OneModel:
    """A `ModelSource` of one model."""

    def __init__(self, model: TenantModel, *, is_stale: bool = False) -> None:
        self._model = model
        self._is_stale = is_stale

    def current(self, tenant_id: bytes) -> TenantModel:
        assert tenant_id == TENANT
        return self._model

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        assert tenant_id == TENANT
        assert now_ms > 0
        return self._is_stale


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_ms(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return self.s


class Trial:
    """`LearnedForecasts` over a store that can be told to fail."""

    def __init__(self, model: TenantModel = DEFAULTS, *, clock: Clock | None = None) -> None:
        self.store = Store()
        self.clock = Hands()
        self.told: list[str] = []
        self.forecasts = LearnedForecasts(self.store, OneModel(model), clock or self.clock, self.told.append)

    async def ask(self, *subjects: Subject) -> Forecast:
        """The forecast of each subject at 8 h and 20 h on a Monday."""
        return (await self.forecasts.prepare(subjects)).predict(question(subjects))


def question(subjects: Sequence[Subject]) -> Question:
    rows = len(subjects)
    return Question(
        user_id=np.array([subject.user_id for subject in subjects]),
        preferred=np.full(rows, -1),
        hour=np.tile(np.array([8, EVENING], np.int8), (rows, 1)),
        weekday=np.zeros((rows, 2), np.int8),
        at_ms=np.full((rows, 2), NOW),
        class_=np.zeros(rows, np.int64),
    )


def knows_hour(forecast: Forecast) -> list[bool]:
    """By row, whether 20 h is known to be far better than 8 h."""
    return (forecast.engagement[:, 0, 1] > 2 * forecast.engagement[:, 0, 0]).tolist()


def knows_channel(forecast: Forecast) -> list[bool]:
    """By row, whether SMS is known to be far better than e-mail."""
    return (forecast.engagement[:, 2, 0] > 2 * forecast.engagement[:, 0, 0]).tolist()


async def fail() -> None:
    raise OSError


async def test_users_are_read_once_and_only_those_of_whom_something_may_be_used():
    trial = Trial()
    forecast = await trial.ask(ADA, BOB, ADA, CEM._replace(hidden=EVERY_FEATURE))
    assert trial.store.reads == [[1, 2]]
    assert knows_hour(forecast) == knows_channel(forecast) == [True, True, True, False]
    assert not forecast.fallback.any()
    await trial.ask(CEM._replace(hidden=EVERY_FEATURE))
    assert len(trial.store.reads) == 1
    assert trial.told == []


async def test_a_feature_from_which_a_user_is_hidden_does_not_know_her():
    forecast = await Trial().ask(ADA._replace(hidden=1), BOB._replace(hidden=2), CEM)
    assert knows_hour(forecast) == [False, True, True]
    assert knows_channel(forecast) == [True, False, True]


async def test_where_models_are_off_the_defaults_answer_unflagged_and_nothing_is_read():
    trial = Trial(msgspec.structs.replace(DEFAULTS, name="eb-1", trained_ms=NOW))
    forecast = await trial.ask(ADA._replace(hidden=EVERY_FEATURE | NO_MODEL), BOB)
    assert list(forecast.models) == [DEFAULTS.name, "eb-1"]
    assert trial.store.reads == [[2]]
    assert not forecast.fallback.any()


async def test_a_user_of_two_rows_is_hidden_from_what_both_hide():
    forecast = await Trial().ask(ADA._replace(hidden=EVERY_FEATURE), ADA._replace(hidden=1))
    assert knows_hour(forecast) == [False, False]
    assert knows_channel(forecast) == [True, True]


async def test_a_store_that_is_away_makes_strangers_of_whom_would_have_been_read():
    trial = Trial()
    trial.store.before = fail
    forecast = await trial.ask(ADA, BOB._replace(hidden=EVERY_FEATURE))
    assert forecast.fallback.tolist() == [True, False]
    assert knows_hour(forecast) == knows_channel(forecast) == [False, False]
    assert trial.told == ["away"]


async def test_a_store_that_hangs_is_waited_for_no_longer_than_the_deadline():
    trial = Trial(clock=StoreClock())
    released = asyncio.Event()

    async def hang() -> None:
        await released.wait()

    trial.store.before = hang
    began = time.monotonic()
    forecast = await trial.ask(ADA)
    # Not much longer than the deadline, on a machine that has other things to do.
    assert DEADLINE_S <= time.monotonic() - began < DEADLINE_S + 0.5
    assert trial.told == ["late"]
    assert forecast.fallback.all()


async def test_what_was_read_before_the_store_fell_silent_is_used():
    trial = Trial()

    async def fail_later() -> None:
        if len(trial.store.reads) > 1:
            raise OSError

    trial.store.before = fail_later
    everybody = [Subject(TENANT, number) for number in range(1, PORTION + 51)]
    forecast = await trial.ask(*everybody)
    assert [len(read) for read in trial.store.reads] == [PORTION, 50]
    assert forecast.fallback.tolist() == [False] * PORTION + [True] * 50
    assert knows_hour(forecast) == [True] * PORTION + [False] * 50


async def test_time_in_which_this_process_was_busy_does_not_count_against_the_store():
    trial = Trial(clock=StoreClock())

    async def answer_while_all_is_busy() -> None:
        await asyncio.sleep(0)
        until = time.monotonic() + 3 * DEADLINE_S
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0)

    trial.store.before = answer_while_all_is_busy
    await trial.ask(ADA)
    assert trial.told == []


async def test_users_of_a_tenant_whose_model_is_too_old_are_flagged_and_still_known():
    told: list[str] = []
    forecasts = LearnedForecasts(Store(), OneModel(DEFAULTS, is_stale=True), Hands(), told.append)
    forecast = (await forecasts.prepare([ADA])).predict(question([ADA]))
    assert forecast.fallback.tolist() == [True]
    assert knows_hour(forecast) == [True], "her own history is used all the same"
    assert told == ["stale"]


async def test_a_store_that_keeps_failing_is_left_alone_for_a_while():
    trial = Trial()

    trial.store.before = fail
    for _ in range(PATIENCE + 4):
        await trial.ask(ADA)
    assert len(trial.store.reads) == PATIENCE
    assert trial.told == ["away"] * PATIENCE + ["resting"] * 4
    trial.clock.s += REST_S
    trial.store.before = None
    await trial.ask(ADA)
    await trial.ask(ADA)
    assert len(trial.store.reads) == PATIENCE + 2


async def test_while_one_batch_tries_again_the_others_leave_the_store_alone():
    trial = Trial()

    trial.store.before = fail
    for _ in range(PATIENCE):
        await trial.ask(ADA)
    trial.clock.s += REST_S
    await asyncio.gather(*[trial.ask(ADA) for _ in range(5)])
    assert len(trial.store.reads) == PATIENCE + 1


@pytest.mark.parametrize(
    "model",
    [
        TenantModel(channel=ChannelParameters(rates=(math.nan, 0.1, 0.1))),
        TenantModel(channel=ChannelParameters(rates=(0.1, 0.1))),
        TenantModel(send_time=SendTimeParameters(curves=((math.inf,) * 24,) * 2)),
        TenantModel(send_time=SendTimeParameters(mix=())),
        TenantModel(fatigue=FatigueParameters(weekly=(0.0, 0.0, 0.0))),
    ],
    ids=["NaN", "too short", "infinite", "empty", "division by nothing"],
)
async def test_a_model_that_talks_nonsense_is_replaced_by_the_prior_and_flagged(model: TenantModel):
    trial = Trial(model)
    forecast = await trial.ask(ADA, BOB)
    assert forecast.fallback.tolist() == [True, True]
    assert list(forecast.models) == ["prior-1", "prior-1"]
    prior = NeutralPrior().predict(question([ADA, BOB]))
    assert forecast.engagement.tolist() == prior.engagement.tolist()
    assert trial.told == ["nonsense"]


async def test_a_torn_record_makes_a_stranger_of_its_user_and_of_nobody_else():
    trial = Trial()
    trial.store.torn = [ADA.user_id]
    forecast = await trial.ask(ADA, BOB)
    assert forecast.fallback.tolist() == [True, False]
    assert list(forecast.models) == ["prior-1", "eb-0"]
    assert knows_hour(forecast) == [False, True]


class Odd:
    """A `Predictor` that says `value` for the engagement of the second row."""

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, question: Question) -> Forecast:
        said = NeutralPrior().predict(question)
        said.engagement[1, 0, 0] = self._value
        return Forecast(said.engagement, said.fatigue, said.confidence, ("odd-1",) * 2, said.fallback)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1.0, -0.2, 7.0])
def test_a_row_of_nonsense_is_the_priors_and_its_neighbour_is_not(value: float):
    told: list[str] = []
    asked = question([ADA, BOB])
    forecast = Careful(Odd(value), told.append).predict(asked)
    assert forecast.fallback.tolist() == [False, True]
    assert list(forecast.models) == ["odd-1", "prior-1"]
    assert forecast.engagement.tolist() == NeutralPrior().predict(asked).engagement.tolist()
    assert told == ["nonsense"]
