"""Trainings written down at MLflow: what it holds then, and that nobody waits for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from clarion.adapters.models.mlflow import MlflowRuns
from clarion.entrypoints import training_turns
from clarion.entrypoints.training_turns import write_down
from clarion.kernel.errors import Transient
from clarion.testing.mlflow import MlflowDouble, running_mlflow
from tests.integration.models.mlflow_suite import TENANT, holds_what_was_recorded, trained


@pytest.fixture
async def server() -> AsyncGenerator[MlflowDouble]:
    async with running_mlflow() as double:
        yield double


async def test_it_holds_a_run_and_a_version_of_each_training(server: MlflowDouble):
    await holds_what_was_recorded(server.url)


async def test_a_server_that_fails_is_no_failure_of_the_training(server: MlflowDouble):
    server.broken = True
    assert await write_down(server.url, TENANT, trained(1)) is False
    server.broken = False
    assert await write_down(server.url, TENANT, trained(1)) is True


async def test_a_server_that_is_not_there_is_away():
    runs = MlflowRuns("http://127.0.0.1:9")
    with pytest.raises(Transient):
        await runs.record(TENANT, trained(1))
    await runs.close()


async def test_nobody_waits_long_for_a_server_that_says_nothing(server: MlflowDouble):
    server.gate.clear()
    assert training_turns.RECORD_WITHIN_S <= 5
    assert await write_down(server.url, TENANT, trained(1), within_s=0.05) is False
