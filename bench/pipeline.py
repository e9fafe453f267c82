"""`pipeline`: accept, decide, persist, queue, render, sandbox, event, status, everything on this one machine.

A generator in its own process posts batches of personalised e-mails; the clock stops when the last delivery has its
outcome in Postgres and the last event is on the log. The baseline is Celery running an empty task on the same kind of
Valkey: enqueued by one process while two workers run, from the first enqueue to the last task done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import asyncpg
import redis

from bench.campaign import BATCH, batches, prepare
from bench.celery_tasks import app, nothing
from bench.harness import (
    Result,
    finish,
    median,
    percentile,
    post_all,
    run_in_process,
    say,
)
from clarion.adapters.embedded import Claim, DataDirectory, StoreOptions, Supervisor, start_stores
from clarion.testing.instance import Instance, clarion_up

BAR: Final = 6_000
BAR_RATIO: Final = 10
COUNT: Final = 40_000
ROUNDS: Final = 3
CONNECTIONS: Final = 4
CELERY_COUNT: Final = 8_000
POLL_S: Final = 0.05
TIMEOUT_S: Final = 300.0

_LEFT: Final = "SELECT (SELECT count(*) FROM open_deliveries) + (SELECT count(*) FROM outbox)"


def run() -> Result:
    """ROUNDS campaigns, and Celery after each; the medians."""
    rates: list[float] = []
    celery: list[float] = []
    spans: list[float] = []
    with clarion_up() as instance:
        prepare(instance)
        run_in_process(_campaign, instance, 5_000)
        for number in range(ROUNDS):
            rate, round_spans = run_in_process(_campaign, instance, COUNT)
            rates.append(rate)
            spans += round_spans
            say(f"round {number + 1}: {rate:,.0f} notifications/s")
    for number in range(ROUNDS):
        celery.append(_run_celery())
        say(f"round {number + 1}: Celery {celery[-1]:,.0f} empty tasks/s")
    value, baseline = median(rates), median(celery)
    return finish(
        Result(
            "pipeline",
            round(value),
            "notifications/s",
            f"≥ {BAR}/s and ≥ {BAR_RATIO}× Celery's empty task",
            value >= BAR and value / baseline >= BAR_RATIO,
            baseline=round(baseline),
            ratio=round(value / baseline, 1),
            p50_ms=round(percentile(spans, 0.5) * 1000, 1),
            p99_ms=round(percentile(spans, 0.99) * 1000, 1),
            detail={
                "rounds": [round(rate) for rate in rates],
                "batch": BATCH,
                "latency_is": "of accepting one batch",
            },
        )
    )


def _campaign(instance: Instance, count: int) -> tuple[float, list[float]]:
    requests = batches(instance, count)
    return asyncio.run(_measure(instance, requests, count))


async def _measure(instance: Instance, requests: list[bytes], count: int) -> tuple[float, list[float]]:
    connection = await asyncpg.connect(instance.database_url)
    try:
        began = time.perf_counter()
        spans = await post_all(instance, requests, CONNECTIONS)
        while await connection.fetchval(_LEFT):
            if time.perf_counter() - began > TIMEOUT_S:
                msg = "the deliveries did not end"
                raise TimeoutError(msg)
            await asyncio.sleep(POLL_S)
        return count / (time.perf_counter() - began), spans
    finally:
        await connection.close()


def _run_celery() -> float:
    with tempfile.TemporaryDirectory(prefix="clarion-bench-") as folder:
        return asyncio.run(_celery(Path(folder)))


async def _celery(folder: Path) -> float:
    directory = DataDirectory.open(folder / "data")
    async with Claim(directory) as claim, Supervisor(claim) as supervisor:
        urls = await start_stores(supervisor, StoreOptions(postgres=None))
        url = urls.valkey or ""
        with _celery_worker(url):
            return await asyncio.to_thread(run_in_process, _enqueue_and_wait, url)


@contextlib.contextmanager
def _celery_worker(url: str) -> Generator[None]:
    command = [sys.executable, "-m", "celery", "-A", "bench.celery_tasks", "worker", "-c", "2", "-l", "ERROR"]
    with Path(os.devnull).open("wb") as nowhere:
        worker = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "--without-heartbeat"],
            env={**os.environ, "BENCH_BROKER": url},
            stdout=nowhere,
            stderr=nowhere,
        )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


def _enqueue_and_wait(url: str) -> float:
    app.conf.update(broker_url=url)
    client = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  redis-py's stub
    for number in range(200):
        nothing.delay(number)
    _wait_until_empty(client)
    began = time.perf_counter()
    for number in range(CELERY_COUNT):
        nothing.delay(number)
    _wait_until_empty(client)
    return CELERY_COUNT / (time.perf_counter() - began)


def _wait_until_empty(client: redis.Redis) -> None:
    """Until nothing is queued and nothing is unacknowledged (kombu keeps both in Redis)."""
    deadline = time.monotonic() + TIMEOUT_S
    while client.llen("celery") or client.hlen("unacked"):
        if time.monotonic() > deadline:
            msg = "Celery did not end"
            raise TimeoutError(msg)
        time.sleep(POLL_S)
