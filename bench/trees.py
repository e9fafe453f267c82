"""`trees`: a decision's forecast where trees add to the formulas, one user at a time, and of 500 users at once.

As in `send_time`: records are read from Valkey by the very forecasts of a decision. The baseline is the same without
trees, in the same run; half of the users belong to a tenant that has none, so that batches are mixed.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import uvloop

from bench.harness import Result, finish, percentile, run_in_process, say
from bench.learned import ask, make_users
from clarion.adapters.models.gbdt import LightGbm
from clarion.adapters.models.opening import OpenedTrees
from clarion.adapters.valkey.client import connect
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.models.model import GrownTrees
from clarion.intelligence.models.trees import INPUTS
from clarion.intelligence.serving import LearnedForecasts, Subject
from clarion.kernel.clock import StoreClock
from clarion.testing.valkey_servers import valkey_server
from clarion.testing.waiting import eventually

BAR_MS: Final = 15.0
USERS: Final = 5_000
DECISIONS: Final = 5_000
BATCH: Final = 500
BATCHES: Final = 100
ROWS: Final = 20_000
WITH, WITHOUT = bytes(15) + b"\x07", bytes(15) + b"\x08"


class Source:
    """A `ModelSource`: one tenant has trees."""

    def __init__(self, trees: GrownTrees) -> None:
        self._with = msgspec.structs.replace(DEFAULTS, name="eb-1", trees=trees)

    def current(self, tenant_id: bytes) -> TenantModel:
        """What serves the tenant."""
        return self._with if tenant_id == WITH else DEFAULTS

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        """Never."""
        del tenant_id, now_ms
        return False


def grow() -> GrownTrees:
    """Trees of the usual size, of made-up rows."""
    chance = np.random.default_rng(11)
    inputs = chance.random((ROWS, len(INPUTS)), np.float32)
    answered = chance.random(ROWS) < 0.1 + 0.3 * np.round(inputs[:, 3]) * inputs[:, 9]
    artefact = LightGbm().grow(inputs, answered, np.full(ROWS, 0.2))
    return GrownTrees("gbdt-20261123", StoreClock().now_ms(), artefact, serves=True)


def run() -> Result:
    """One decision after another, then batches."""
    os.environ.update(OPENBLAS_NUM_THREADS="1")  # as all processes of Clarion have it
    trees = run_in_process(grow)
    found = run_in_process(measure, trees)
    with_p99, without_p99 = percentile(found["one with"], 0.99), percentile(found["one without"], 0.99)
    batch = {name: round(percentile(found[name], 0.5), 2) for name in ("batch with", "batch without")}
    late = int(found["fell back"][0])
    say(f"one user: p99 {with_p99:.2f} ms with trees, {without_p99:.2f} without; {BATCH} users: {batch}")
    return finish(
        Result(
            "trees",
            round(with_p99, 3),
            "ms (p99)",
            f"p99 < {BAR_MS:g} ms, as of `channels`",
            with_p99 < BAR_MS and late < DECISIONS // 200,
            baseline=round(without_p99, 3),
            ratio=round(with_p99 / without_p99, 2),
            p50_ms=round(percentile(found["one with"], 0.5), 4),
            p99_ms=round(with_p99, 4),
            detail={
                "artefact_kb": round(len(trees.artefact) / 1000),
                "batch_of": BATCH,
                "batch_p50_ms": batch["batch with"],
                "batch_without_p50_ms": batch["batch without"],
                "fell_back": late,
            },
        )
    )


def measure(trees: GrownTrees) -> dict[str, list[float]]:
    """How long each took, in ms, by what it was."""
    with tempfile.TemporaryDirectory() as folder, valkey_server(Path(folder)) as server:
        return uvloop.run(_measure(server.url, trees))


async def _measure(url: str, trees: GrownTrees) -> dict[str, list[float]]:
    valkey = await connect(url)
    store = ValkeyFeatures(valkey)
    await store.write(make_users(USERS))
    fell_back: list[str] = []
    opened = OpenedTrees(fell_back.append)
    await eventually(lambda: asyncio.to_thread(opened.opened, trees.artefact))
    forecasts = LearnedForecasts(store, Source(trees), StoreClock(), fell_back.append, opened)
    found: dict[str, list[float]] = {}
    for name, tenant_id in (("without", WITHOUT), ("with", WITH)):
        await _times(forecasts, tenant_id, 1, DECISIONS // 10)
        found[f"one {name}"] = await _times(forecasts, tenant_id, 1, DECISIONS)
        found[f"batch {name}"] = await _times(forecasts, tenant_id, BATCH, BATCHES)
    await valkey.close()
    return {**found, "fell back": [float(len(fell_back))]}


async def _times(forecasts: LearnedForecasts, tenant_id: bytes, size: int, count: int) -> list[float]:
    """How long each of `count` forecasts of `size` users took, in ms; every other user of a batch has no trees."""
    spans: list[float] = []
    for number in range(count):
        first = number * size % (USERS - size) + 1
        subjects = [
            Subject(tenant_id if user % 2 or size == 1 else WITHOUT, user)
            for user in range(first, first + size)
        ]
        began = time.perf_counter_ns()
        (await forecasts.prepare(subjects)).predict(ask(first, size))
        spans.append((time.perf_counter_ns() - began) / 1e6)
    return spans
