"""A worker that dies again and again while it sends a broadcast: nobody is skipped, and nobody is told twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest

from clarion.contracts.statuses import TERMINAL
from clarion.testing.waiting import eventually
from tests.chaos.support import Measuring
from tests.live.fixtures import Live
from tests.live.support import Person, count, fetch, ledger_holds

N: Final = int(os.environ.get("CLARION_CHAOS_BROADCAST", "3000"))
"""Members: some thousands in the suite, a hundred thousand at night."""

KILLS: Final = 10
SIDES: Final = ("sent", "blocked", "failed", "unknown", "pending")

NOTHING: Final = {"sent": -1}

PATIENCE_S: Final = 100 + N / 500

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(2 * PATIENCE_S)]


class Mortal:
    """A worker on the instance's stores that lives again at once after each death: its supervisor would wait longer."""

    def __init__(self, live: Live) -> None:
        self._environment = live.instance.environment_of("worker") | {"CLARION_METRICS_PORT": "0"}
        self._environment.pop("CLARION_READY_FD", None)
        self._process: asyncio.subprocess.Process | None = None

    async def live(self) -> None:
        """Begin a life."""
        command = (sys.executable, "-m", "clarion.entrypoints.workers.main")
        self._process = await asyncio.create_subprocess_exec(*command, env=self._environment)

    async def die(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def mortal_worker(live: Live) -> AsyncGenerator[Mortal]:
    """A worker that may be killed, in place of the instance's own, which stands still meanwhile."""
    mortal = Mortal(live)
    own = live.instance.signal("worker", signal.SIGSTOP)
    try:
        await mortal.live()
        yield mortal
    finally:
        await mortal.die()
        os.kill(own, signal.SIGCONT)


async def test_a_worker_killed_ten_times_during_a_broadcast(live: Live, person: Person, measure: Measuring):
    for start in range(0, N, 1000):
        await person.get(
            "POST /users/batch", {"users": [member(i) for i in range(start, min(start + 1000, N))]}
        )
    body = {"category": "transactional", "data": {"subject": "Hello", "body": "Hello"}, "audience": "all"}
    books: list[dict[str, Any]] = []
    async with mortal_worker(live) as worker:
        ident = (await person.insist("POST /broadcasts", {**body, "rate_per_s": N / 10}))["broadcast_id"]

        async def look() -> dict[str, Any]:
            view: dict[str, Any] = await person.get(f"GET /broadcasts/{ident}")
            books.append(view["balance"])
            return view

        measured = measure("worker killed ten times during a broadcast", N)
        chance = random.Random(7)
        for kill in range(KILLS):
            least = max((books or [NOTHING])[-1]["sent"] + 1, N * kill // (KILLS + 1))
            await eventually(look, partial(has_sent, least=least + chance.randrange(N // 50)))
            await worker.die()
            await worker.live()
        over = await eventually(look, lambda view: view["status"] == "completed", within_s=PATIENCE_S)
    final = over["balance"]
    measured.recovered()

    # The books held at every moment, and went one way.
    assert all(one["audience"] == sum(one[side] for side in SIDES) for one in books)
    assert len({tuple(one[side] for side in SIDES) for one in books}) > KILLS
    assert (final["audience"], final["pending"]) == (N, 0)
    # Three deaths over one delivery make it a dead letter, to be redriven (ADR 9). All else is sent. Workers that live
    # for seconds make no last trials; where the machine is slow, one may live long enough to die in such a one.
    dead = await count(
        live.instance, "SELECT count(*) FROM dead_letters WHERE tenant_id::text = $1", person.tenant_id
    )
    assert (final["sent"], final["failed"] + final["unknown"]) == (N - dead, dead), final
    assert dead <= 1
    told = Counter(
        row["user_id"]
        for row in await fetch(
            live.instance, "SELECT user_id FROM notifications WHERE tenant_id::text = $1", person.tenant_id
        )
    )
    measured.lost, measured.duplicated = N - len(told), told.total() - len(told)
    assert (measured.lost, measured.duplicated) == (0, 0)
    statuses = await fetch(
        live.instance,
        "SELECT DISTINCT status FROM notifications WHERE tenant_id::text = $1",
        person.tenant_id,
    )
    assert {row["status"] for row in statuses} <= TERMINAL
    assert not await count(
        live.instance, "SELECT count(*) FROM open_deliveries WHERE tenant_id::text = $1", person.tenant_id
    )
    assert await ledger_holds(live.instance.data)


def has_sent(view: dict[str, Any], *, least: int) -> bool:
    """Whether a broadcast that has its audience is that far."""
    books = view["balance"]
    return books["audience"] > 0 and books["sent"] >= min(least, N)


def member(number: int) -> dict[str, Any]:
    return {"user_id": f"user-{number}", "email": f"user-{number}@example.org"}
