"""`send_time`: the best hour of one user, as a decision has it: her record read from Valkey, 72 hours weighed.

By the very forecasts of a decision (deadline, breaker and all), one user at a time, each another one. The baseline
reads a record and does nothing with it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import uvloop

from bench.harness import Result, finish, percentile, run_in_process, say
from bench.learned import ask, make_users
from clarion.adapters.valkey.client import connect
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.intelligence.serving import Forecast, LearnedForecasts, Subject, Unfitted
from clarion.kernel.clock import StoreClock
from clarion.testing.valkey_servers import valkey_server

BAR_MS: Final = 10.0
AIM_MS: Final = 2.0
USERS: Final = 5_000
PREDICTIONS: Final = 20_000
MOST_LATE: Final = 0.005
"""Share of predictions that may fall back, for a machine that stops for a moment: then nobody waits."""
TENANT: Final = bytes(15) + b"\x07"

Choice = Callable[[Forecast], object]


def best_time(forecast: Forecast) -> object:
    """The channel and hour of the best cell."""
    return np.unravel_index(int(forecast.engagement.argmax()), forecast.engagement.shape[1:])


def run(predictions: int = PREDICTIONS) -> Result:
    """One prediction after another."""
    spans, reads, late = run_in_process(measure, predictions, best_time)
    return report("send_time", "the best of 72 hours", BAR_MS, (spans, reads, late))


def quietest(spans: Sequence[float], parts: int = 4) -> float:
    """The least p99 of some parts of a run, for a machine that does other things meanwhile."""
    length = len(spans) // parts
    return min(percentile(spans[start : start + length], 0.99) for start in range(0, length * parts, length))


def report(bench: str, what: str, bar_ms: float, measured: tuple[list[float], list[float], int]) -> Result:
    """The result of what `measure` measured."""
    spans, reads, late = measured
    p50, p99 = percentile(spans, 0.5), percentile(spans, 0.99)
    alone = percentile(reads, 0.99)
    say(
        f"{what}: p50 {p50:.3f} ms, p99 {p99:.3f} ms, worst {max(spans):.2f} ms; a bare read p99 {alone:.3f} ms"
    )
    return finish(
        Result(
            bench,
            round(p99, 3),
            "ms (p99)",
            f"p99 < {bar_ms:g} ms, features read from Valkey, aim {AIM_MS:g} ms",
            p99 < bar_ms and late < len(spans) * MOST_LATE,
            baseline=round(alone, 3),
            ratio=round(p99 / alone, 2),
            p50_ms=round(p50, 4),
            p99_ms=round(p99, 4),
            detail={"predictions": len(spans), "worst_ms": round(max(spans), 3), "fell_back": late},
        )
    )


def measure(predictions: int, choose: Choice) -> tuple[list[float], list[float], int]:
    """How long each prediction and each bare read took, in ms, and how many predictions fell back."""
    with tempfile.TemporaryDirectory() as folder, valkey_server(Path(folder)) as server:
        return uvloop.run(_measure(server.url, predictions, choose))


async def _measure(url: str, predictions: int, choose: Choice) -> tuple[list[float], list[float], int]:
    valkey = await connect(url)
    store = ValkeyFeatures(valkey)
    records = make_users(USERS)
    await store.write(records)
    fell_back: list[str] = []
    forecasts = LearnedForecasts(store, Unfitted(), StoreClock(), fell_back.append)

    async def predict(user_id: int) -> None:
        predictor = await forecasts.prepare([Subject(TENANT, user_id)])
        choose(predictor.predict(ask(user_id, 1)))

    async def read(user_id: int) -> None:
        await store.read([user_id])

    await _times(predict, predictions // 10)
    spans = await _times(predict, predictions)
    reads = await _times(read, predictions)
    await valkey.close()
    return spans, reads, len(fell_back)


async def _times(act: Callable[[int], Awaitable[None]], count: int) -> list[float]:
    """How long each of `count` acts took, in ms, each for another user."""
    spans: list[float] = []
    for number in range(count):
        began = time.perf_counter_ns()
        await act(number % USERS + 1)
        spans.append((time.perf_counter_ns() - began) / 1e6)
    return spans
