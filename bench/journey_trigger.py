"""`journey_trigger`: letting a user into a journey, from the request to its answer, through the real API.

Requests come at a steady pace whatever happened to the one before them, and are timed from when they came. The worker
runs beside it: each run takes its first step, waits, and is durable before it is answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import uvloop

from bench.campaign import USERS, prepare
from bench.harness import Result, finish, percentile, post_all, raw_request, run_in_process, say
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up

BAR_MS: Final = 50.0
PER_S: Final = 100
SECONDS: Final = 20
CONNECTIONS: Final = 16
JOURNEY: Final = {
    "name": "bench",
    "trigger": {"type": "api"},
    "steps": [{"id": "bought", "type": "wait", "event": "purchase", "timeout": "30d"}],
}


def run() -> Result:
    """A user enters every hundredth of a second."""
    with clarion_up() as instance:
        prepare(instance)
        asyncio.run(post_all(instance, [raw_request(instance, "POST", "/api/v1/journeys", JOURNEY)], 1))
        requests = [_request(instance, number) for number in range(PER_S * SECONDS)]
        spans = run_in_process(_at_a_pace, instance, requests)
        runs = asyncio.run(_count(instance))
        say(f"p99 {percentile(spans, 0.99) * 1000:.2f} ms at {PER_S}/s; {runs} runs")
    p99_ms = percentile(spans, 0.99) * 1000
    return finish(
        Result(
            "journey_trigger",
            round(p99_ms, 2),
            "ms, p99",
            f"p99 < {BAR_MS:g} ms at {PER_S}/s, a run each",
            p99_ms < BAR_MS and runs == len(requests),
            p50_ms=round(percentile(spans, 0.5) * 1000, 2),
            p99_ms=round(p99_ms, 2),
            detail={"triggers_per_s": PER_S, "seconds": SECONDS, "runs": runs},
        )
    )


def _request(instance: Instance, number: int) -> bytes:
    body = {"user_id": f"u{number % USERS}", "context": {"order": f"A-{number}"}}
    return raw_request(instance, "POST", "/api/v1/journeys/bench/trigger", body)


def _at_a_pace(instance: Instance, requests: Sequence[bytes]) -> list[float]:
    return uvloop.run(_pace(instance, requests))


async def _pace(instance: Instance, requests: Sequence[bytes]) -> list[float]:
    """The seconds from when each request came to its answer. One that finds no free connection waits for one."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(*instance.address))
    spans: list[float] = []

    async def enter(request: bytes, came: float) -> None:
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(head)
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        spans.append(time.perf_counter() - came)
        free.put_nowait((reader, writer))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            comes = began + number / PER_S
            await asyncio.sleep(max(0.0, comes - time.perf_counter()))
            group.create_task(enter(request, comes))
    while not free.empty():
        free.get_nowait()[1].close()
    return spans


async def _count(instance: Instance) -> int:
    """The journey's active runs, as the API tells of them."""
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    journey = (await client.request("GET /api/v1/journeys/bench")).json()
    return sum(standing["runs"] for standing in journey["running"])
