"""`broadcast`: one message to everybody through the sandbox, with one-time codes of the same tenant in between.

The clock runs from the request to the last outcome in Postgres and the last event on the log: the snapshot of the
audience, its decisions, rows, messages and outcomes. Ten codes are asked for at even distances; each one's time is that
of its caller, from her request to the answer that says `sent`. The books are read all the while and must hold.
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from typing import Any, Final

import asyncpg

from bench.campaign import TEMPLATE, ZONES
from bench.harness import Result, finish, median, post_all, raw_request, run_in_process, say
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR: Final = 6_000
BAR_CODE_MS: Final = 500
COUNT: Final = int(os.environ.get("BENCH_BROADCAST", "100000"))
ROUNDS: Final = 3
CODES: Final = 10
USERS_BATCH: Final = 1_000
POLL_S: Final = 0.2
CODE_POLL_S: Final = 0.01
TIMEOUT_S: Final = 300.0
SIDES: Final = ("sent", "blocked", "failed", "unknown", "pending")
SPACING_S: Final = COUNT / 10_000 / CODES
"""Between two codes: all of them fall into a broadcast that goes at less than 10 000 a second."""

_BACKLOG: Final = "SELECT count(*) FROM outbox"


def run() -> Result:
    """ROUNDS broadcasts to the same users; the medians, and the worst code."""
    rates: list[float] = []
    codes: list[float] = []
    with clarion_up() as instance:
        run_in_process(_prepare, instance)
        for number in range(ROUNDS):
            rate, waits = run_in_process(_round, instance)
            rates.append(rate)
            codes += waits
            say(f"round {number + 1}: {rate:,.0f} members/s; slowest code {max(waits) * 1000:.0f} ms")
    value, worst_ms = median(rates), max(codes) * 1000
    return finish(
        Result(
            "broadcast",
            round(value),
            "members/s",
            f"≥ {BAR}/s, each code < {BAR_CODE_MS} ms",
            value >= BAR and worst_ms < BAR_CODE_MS,
            p50_ms=round(median(codes) * 1000, 1),
            p99_ms=round(worst_ms, 1),
            detail={
                "rounds": [round(rate) for rate in rates],
                "audience": COUNT,
                "codes": len(codes),
                "latency_is": "of a code, from its request to `sent`; p99 is the slowest",
            },
        )
    )


def _prepare(instance: Instance) -> None:
    requests = [raw_request(instance, "PUT", "/api/v1/templates/order", TEMPLATE)]
    for start in range(0, COUNT, USERS_BATCH):
        users = [_user(number) for number in range(start, min(start + USERS_BATCH, COUNT))]
        requests.append(raw_request(instance, "POST", "/api/v1/users/batch", {"users": users}))
    asyncio.run(post_all(instance, requests, 2))
    say(f"{COUNT:,} users are there")


def _user(number: int) -> dict[str, Any]:
    return {
        "user_id": f"u{number}",
        "email": f"u{number}@example.org",
        "timezone": ZONES[number % len(ZONES)],
        "attributes": {"first_name": f"Ann{number}"},
    }


def _round(instance: Instance) -> tuple[float, list[float]]:
    return asyncio.run(_measure(instance))


async def _measure(instance: Instance) -> tuple[float, list[float]]:
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    body = {
        "audience": "all",
        "category": "transactional",
        "template": "order",
        "data": {"order": "A-1815", "articles": [{"name": "Lamp", "price": "19.90"}]},
        "optimization": {"channels": ["email"]},
    }
    began = time.perf_counter()
    answer = await client.request("POST /api/v1/broadcasts", body)
    path = f"/api/v1/broadcasts/{answer.json()['broadcast_id']}"
    codes = asyncio.create_task(_codes(client))
    await _watch(client, path, began + TIMEOUT_S)
    await _published(instance)
    took = time.perf_counter() - began
    return COUNT / took, await codes


async def _watch(client: HttpClient, path: str, deadline: float) -> None:
    """Until nobody is pending; the books must hold at each look."""
    while time.perf_counter() < deadline:
        view = (await client.request(f"GET {path}")).json()
        books = view["balance"]
        if books["audience"] != sum(books[side] for side in SIDES):
            msg = f"the books do not hold: {books}"
            raise AssertionError(msg)
        if books["sent"] == COUNT:
            return
        await asyncio.sleep(POLL_S)
    msg = "the broadcast did not end"
    raise TimeoutError(msg)


async def _published(instance: Instance) -> None:
    connection = await asyncpg.connect(instance.database_url)
    try:
        await eventually(partial(connection.fetchval, _BACKLOG), lambda left: left == 0, every_s=CODE_POLL_S)
    finally:
        await connection.close()


async def _codes(client: HttpClient) -> list[float]:
    """The seconds of CODES one-time codes."""
    waits: list[float] = []
    for number in range(CODES):
        await asyncio.sleep(SPACING_S)
        waits.append(await _code(client, number))
    return waits


async def _code(client: HttpClient, number: int) -> float:
    body = {
        "user_id": f"u{number}",
        "category": "security",
        "priority": 0,
        "data": {"subject": "Your code", "body": "123456"},
        "optimization": {"channels": ["email"]},
    }
    began = time.perf_counter()
    ident = (await client.request("POST /api/v1/notifications", body)).json()["notification_id"]
    while (await client.request(f"GET /api/v1/notifications/{ident}")).json()["status"] != "sent":
        if time.perf_counter() - began > TIMEOUT_S:
            msg = "a code was not sent"
            raise TimeoutError(msg)
        await asyncio.sleep(CODE_POLL_S)
    return time.perf_counter() - began
