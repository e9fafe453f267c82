"""A worker that dies again and again while it sends a broadcast: nobody is skipped, and nobody is told twice."""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import partial
from typing import Any, Final

import pytest

from clarion.contracts.statuses import TERMINAL
from clarion.testing.waiting import eventually
from tests.chaos.support import Measuring, mortal_worker
from tests.live.fixtures import Live
from tests.live.support import Person, count, fetch, ledger_holds

N: Final = int(os.environ.get("CLARION_CHAOS_BROADCAST", "3000"))
"""Members: some thousands in the suite, a hundred thousand at night."""

KILLS: Final = 10
SIDES: Final = ("sent", "blocked", "failed", "unknown", "pending")

NOTHING: Final = {"sent": -1}

PATIENCE_S: Final = 100 + N / 500

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(2 * PATIENCE_S)]


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
