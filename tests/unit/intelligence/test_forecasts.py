"""Forecasts when all is well, and when the store or the model is away, late, or talks nonsense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from clarion.compliance.quiet_hours import BoolArray
from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.serving import EVERY_FEATURE, NeutralPrior, Predictor, Question, Subject
from clarion.intelligence.serving.forecasts import DEADLINE_S, PATIENCE, REST_S, LearnedForecasts
from clarion.intelligence.serving.ports import Forecast

TENANT = b"t" * 16
ADA, BOB, CEM = (Subject(TENANT, number) for number in (1, 2, 3))


class Store:
    """A `FeatureStore` whose reads do as they are told. Each user was present, and sent to, her number of times."""

    def __init__(self) -> None:
        self.reads: list[list[int]] = []
        self.before: Callable[[], Awaitable[None]] | None = None

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        self.reads.append(list(user_ids))
        if self.before is not None:
            await self.before()
        records = empty_records(user_ids)
        records["presence"][:] = records["user_id"][:, None, None, None]
        records["sent"][:] = records["user_id"][:, None, None]
        return records

    async def write(self, records: RecordArray) -> list[bool]:
        raise NotImplementedError

    async def drop(self, user_ids: Sequence[int]) -> None:
        raise NotImplementedError


class Defaults:
    def current(self, tenant_id: bytes) -> TenantModel:
        assert tenant_id == TENANT
        return DEFAULTS


class Bench:
    """`LearnedForecasts` on a clock that is moved by hand, or the real one; what it made predictors of is kept."""

    def __init__(
        self, predictor: Predictor | None = None, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.store = Store()
        self.now_s = 0.0
        self.told: list[str] = []
        self.records: dict[int, RecordArray] = {}
        self.missed: dict[int, bool] = {}
        self._predictor = predictor or NeutralPrior()
        self.forecasts = LearnedForecasts(
            self.store, Defaults(), self.make, clock or (lambda: self.now_s), self.told.append
        )

    def make(
        self,
        subjects: Sequence[Subject],
        records: RecordArray,
        models: Sequence[TenantModel],
        missed: BoolArray,
    ) -> Predictor:
        assert len(subjects) == len(models)
        self.records = {s.user_id: record for s, record in zip(subjects, records, strict=True)}
        self.missed = {s.user_id: m for s, m in zip(subjects, missed.tolist(), strict=True)}
        return self._predictor


def question(rows: int = 2) -> Question:
    return Question(
        user_id=np.arange(1, rows + 1),
        preferred=np.full(rows, -1),
        hour=np.full((rows, 3), 9, np.int8),
        weekday=np.zeros((rows, 3), np.int8),
        at_ms=np.zeros((rows, 3), np.int64),
        class_=np.zeros(rows, np.int64),
    )


async def test_users_are_read_once_and_only_those_of_whom_something_may_be_used():
    bench = Bench()
    await bench.forecasts.prepare([ADA, BOB, ADA, CEM._replace(hidden=EVERY_FEATURE)])
    assert bench.store.reads == [[1, 2]]
    assert {user: float(record["presence"].max()) for user, record in bench.records.items()} == {
        1: 1,
        2: 2,
        3: 0,
    }
    assert not any(bench.missed.values())
    await bench.forecasts.prepare([CEM._replace(hidden=EVERY_FEATURE)])
    assert len(bench.store.reads) == 1
    assert bench.told == []


async def test_what_is_hidden_of_a_user_is_not_in_her_record():
    bench = Bench()
    await bench.forecasts.prepare([ADA._replace(hidden=1), BOB._replace(hidden=2), CEM])
    seen = {
        user: (bool(record["presence"].any()), bool(record["sent"].any()))
        for user, record in bench.records.items()
    }
    assert seen == {1: (False, True), 2: (True, False), 3: (True, True)}


async def test_a_user_of_two_rows_is_hidden_from_what_both_hide():
    bench = Bench()
    await bench.forecasts.prepare([ADA._replace(hidden=EVERY_FEATURE), ADA._replace(hidden=1)])
    assert bench.records[1]["sent"].any()
    assert not bench.records[1]["presence"].any()


async def test_a_store_that_is_away_makes_strangers_of_whom_would_have_been_read():
    bench = Bench()

    async def fail() -> None:
        raise OSError

    bench.store.before = fail
    await bench.forecasts.prepare([ADA, BOB._replace(hidden=EVERY_FEATURE)])
    assert bench.missed == {1: True, 2: False}
    assert bench.told == ["away"]


async def test_a_store_that_hangs_is_waited_for_no_longer_than_the_deadline():
    bench = Bench(clock=time.monotonic)
    released = asyncio.Event()

    async def hang() -> None:
        await released.wait()

    bench.store.before = hang
    began = time.monotonic()
    await bench.forecasts.prepare([ADA])
    # Not much longer than the deadline, on a machine that has other things to do.
    assert DEADLINE_S <= time.monotonic() - began < DEADLINE_S + 0.5
    assert bench.told == ["late"]
    assert bench.missed == {1: True}


async def test_time_in_which_this_process_was_busy_does_not_count_against_the_store():
    bench = Bench(clock=time.monotonic)

    async def answer_while_all_is_busy() -> None:
        await asyncio.sleep(0)
        time.sleep(3 * DEADLINE_S)  # noqa: ASYNC251  this is the busy process
        await asyncio.sleep(0)

    bench.store.before = answer_while_all_is_busy
    await bench.forecasts.prepare([ADA])
    assert bench.told == []
    assert bench.missed == {1: False}


async def test_a_store_that_keeps_failing_is_left_alone_for_a_while():
    bench = Bench()

    async def fail() -> None:
        raise OSError

    bench.store.before = fail
    for _ in range(PATIENCE + 4):
        await bench.forecasts.prepare([ADA])
    assert len(bench.store.reads) == PATIENCE
    assert bench.told == ["away"] * PATIENCE + ["resting"] * 4
    bench.now_s += REST_S
    bench.store.before = None
    await bench.forecasts.prepare([ADA])
    await bench.forecasts.prepare([ADA])
    assert len(bench.store.reads) == PATIENCE + 2
    assert bench.missed == {1: False}


async def test_while_one_batch_tries_again_the_others_leave_the_store_alone():
    bench = Bench()

    async def fail() -> None:
        raise OSError

    bench.store.before = fail
    for _ in range(PATIENCE):
        await bench.forecasts.prepare([ADA])
    bench.now_s += REST_S
    await asyncio.gather(*[bench.forecasts.prepare([ADA]) for _ in range(5)])
    assert len(bench.store.reads) == PATIENCE + 1


class Nonsense:
    """Says `value` for the engagement of the second row."""

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, question: Question) -> Forecast:
        forecast = NeutralPrior().predict(question)
        forecast.engagement[1, 0, 0] = self._value
        return Forecast(
            forecast.engagement, forecast.fatigue, forecast.confidence, ("odd-1",) * 2, forecast.fallback
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 1.0, -0.2, 7.0])
async def test_a_row_of_nonsense_is_the_priors_and_flagged_and_its_neighbour_is_not(value: float):
    bench = Bench(Nonsense(value))
    forecast = (await bench.forecasts.prepare([ADA, BOB])).predict(question())
    prior = NeutralPrior().predict(question())
    assert forecast.fallback.tolist() == [False, True]
    assert list(forecast.models) == ["odd-1", "prior-1"]
    assert forecast.engagement.tolist() == prior.engagement.tolist()
    assert bench.told == ["nonsense"]


class Broken:
    def predict(self, question: Question) -> Forecast:
        raise IndexError(len(question.user_id))


async def test_a_model_that_fails_is_the_prior_for_all_of_the_batch():
    bench = Bench(Broken())
    forecast = (await bench.forecasts.prepare([ADA, BOB])).predict(question())
    assert forecast.fallback.tolist() == [True, True]
    assert list(forecast.models) == ["prior-1", "prior-1"]


async def test_models_that_cannot_be_had_are_the_prior():
    class NoModels:
        def current(self, tenant_id: bytes) -> TenantModel:
            raise KeyError(tenant_id)

    told: list[str] = []
    bench = Bench()
    forecasts = LearnedForecasts(bench.store, NoModels(), bench.make, time.monotonic, told.append)
    forecast = (await forecasts.prepare([ADA, BOB])).predict(question())
    assert forecast.fallback.all()
    assert told == ["nonsense"]
