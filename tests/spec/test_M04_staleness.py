"""M-04, staleness of models.

Read as: a model older than two days is trained anew by itself; one older than seven is not used any more, the
defaults serve in its place, and decisions say `ml_fallback`, until a newer one serves. The specification's own text is
not in this repository.

A worker of the test's own, at the stores of the instance, is put into the future: what is decided there, and trained.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np

from clarion.bootstrap import Worker, open_worker
from clarion.entrypoints.cli.instance import borrowed_settings
from clarion.entrypoints.training import refresh_models
from clarion.entrypoints.workers.main import Unwatched
from clarion.entrypoints.workers.trainer import TRAIN_EVERY_MS, train_those_due
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.serving import Question, Subject
from clarion.kernel.local_time import DAY_MS, HOUR_MS
from clarion.testing.waiting import eventually
from tests.live.support import Person, fetch

USERS: Final = 40
DAYS: Final = 28


@dataclass(frozen=True)
class Later:
    """A worker of the tenant's region, and the clock by which it decides and trains."""

    worker: Worker
    tenant_id: bytes

    def move(self, ms: int) -> None:
        """So much later."""
        clock = self.worker.region.clock
        clock.anchor(clock.now_ms() + ms, clock.monotonic())

    async def train(self) -> str:
        """Do what the trainer role does at each look; the model that serves then."""
        await train_those_due(self.worker, [self.tenant_id], asyncio.Event())
        await refresh_models(self.worker.region)
        return self.worker.region.models.current(self.tenant_id).name

    async def decision(self) -> tuple[str, bool]:
        """By which model a stranger's message is decided, and whether it is flagged as less than it should be."""
        forecasts, now_ms = self.worker.region.forecasts, self.worker.clock.now_ms()
        predictor = await forecasts.prepare([Subject(self.tenant_id, 1)])
        noon, monday = np.full((1, 1), 12, np.int8), np.zeros((1, 1), np.int8)
        forecast = predictor.predict(
            Question(np.array([1]), np.array([-1]), noon, monday, np.full((1, 1), now_ms), np.array([0]))
        )
        return forecast.models[0], bool(forecast.fallback[0])


@asynccontextmanager
async def worker_of(person: Person) -> AsyncGenerator[Later]:
    async with (
        borrowed_settings(person.instance.data) as settings,
        open_worker(settings, Unwatched(), asyncio.Event().is_set) as worker,
    ):
        yield Later(worker, UUID(person.tenant_id).bytes)


async def lived_a_month(person: Person) -> None:
    """A month of what users did."""
    now = datetime.now(UTC)
    events = [
        {
            "user_id": f"user-{number}",
            "event": "seen",
            "timestamp": (now - timedelta(days=day, hours=number % 3)).isoformat(),
        }
        for number in range(USERS)
        for day in range(1, DAYS)
    ]
    for start in range(0, len(events), 1_000):
        await person.get("POST /events/batch", {"events": events[start : start + 1_000]})
    await person.get("POST /ml/train")


async def test_M04_an_old_model_is_trained_anew_and_a_very_old_one_not_used(person: Person):
    await person.users(USERS)
    await lived_a_month(person)
    async with worker_of(person) as later:

        async def is_trained() -> bool:
            return await later.train() != DEFAULTS.name

        await eventually(is_trained, within_s=20)
        first = await later.train()
        assert await later.decision() == (first, False)

        later.move(49 * HOUR_MS)
        assert await later.decision() == (first, False), "it is used as long as there is no newer one"
        second = await later.train()
        assert second not in {first, DEFAULTS.name}, "trained anew by itself"
        assert await later.decision() == (second, False)

        later.move(7 * DAY_MS + HOUR_MS)
        assert await later.decision() == (DEFAULTS.name, True), "too old"
        assert (await later.train()) not in {second, DEFAULTS.name}
        assert (await later.decision())[1] is False
    ended = "SELECT outcome FROM ml_trainings WHERE tenant_id = $1 AND ended_at IS NOT NULL"
    assert len(await fetch(person.instance, ended, person.tenant_id)) == 1


def test_M04_models_are_trained_anew_before_they_are_two_days_old():
    assert TRAIN_EVERY_MS <= 2 * DAY_MS
