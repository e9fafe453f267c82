"""`accept`: durable accepts by the batch API, as a share of raw COPY of the same rows, in the same run.

The worker is stopped meanwhile, so that only accepting is measured. The baseline copies the very bytes of the rows that
were accepted into a table of the same shape (columns, keys, fillfactor): batches of 500, one connection, a transaction
each.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from bench.campaign import BATCH, batches, prepare
from bench.harness import (
    Result,
    finish,
    median,
    percentile,
    post_all,
    run_in_process,
    say,
)
from clarion.testing.instance import Instance, clarion_up

BAR: Final = 0.35
ROUNDS: Final = 3
COUNT: Final = 20_000
CONNECTIONS: Final = 4


def run() -> Result:
    """Alternate ROUNDS times between the API and raw COPY; the ratio of the medians."""
    with clarion_up() as instance:
        prepare(instance)
        worker = instance.pid_of("worker")
        os.kill(worker, signal.SIGSTOP)
        try:
            run_in_process(_send, instance, 2_000)
            accepts: list[float] = []
            copies: list[float] = []
            spans: list[float] = []
            for number in range(ROUNDS):
                rate, round_spans = run_in_process(_send, instance, COUNT)
                accepts.append(rate)
                spans += round_spans
                copies.append(run_in_process(_copy, instance, COUNT))
                say(f"round {number + 1}: {accepts[-1]:,.0f} accepts/s, raw COPY {copies[-1]:,.0f} rows/s")
        finally:
            os.kill(worker, signal.SIGCONT)
    value, baseline = median(accepts), median(copies)
    return finish(
        Result(
            "accept",
            round(value),
            "accepts/s",
            f"ratio ≥ {BAR}",
            value / baseline >= BAR,
            baseline=round(baseline),
            ratio=round(value / baseline, 3),
            p50_ms=round(percentile(spans, 0.5) * 1000, 1),
            p99_ms=round(percentile(spans, 0.99) * 1000, 1),
            detail={"batch": BATCH, "connections": CONNECTIONS, "latency_is": "of one batch"},
        )
    )


def _send(instance: Instance, count: int) -> tuple[float, list[float]]:
    requests = batches(instance, count)
    began = time.perf_counter()
    spans = asyncio.run(post_all(instance, requests, CONNECTIONS))
    return count / (time.perf_counter() - began), spans


def _copy(instance: Instance, count: int) -> float:
    return asyncio.run(_copy_rows(instance, count))


async def _copy_rows(instance: Instance, count: int) -> float:
    connection = await asyncpg.connect(instance.owner_url)
    try:
        await connection.execute("DROP TABLE IF EXISTS bench_copy")
        await connection.execute(
            "CREATE TABLE bench_copy (LIKE notifications INCLUDING ALL) WITH (fillfactor = 60)"
        )
        chunks = [await _dump(connection, offset) for offset in range(0, count, BATCH)]
        began = time.perf_counter()
        for chunk in chunks:
            async with connection.transaction():
                await connection.copy_to_table("bench_copy", source=_once(chunk), format="binary")
        seconds = time.perf_counter() - began
        await connection.execute("DROP TABLE bench_copy")
    finally:
        await connection.close()
    return count / seconds


async def _dump(connection: Any, offset: int) -> bytes:  # noqa: ANN401  asyncpg's connection
    buffer = io.BytesIO()
    query = "SELECT * FROM notifications ORDER BY global_id DESC OFFSET $1 LIMIT $2"
    await connection.copy_from_query(query, offset, BATCH, output=buffer, format="binary")
    return buffer.getvalue()


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk
