"""Stores that are away for a while, or come back empty: what was promised is kept, and nothing else is promised."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from clarion.adapters.embedded import DataDirectory
from clarion.adapters.valkey.client import connect
from clarion.testing.http import HttpAnswer
from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import IN_FLIGHT, Measuring, slow
from tests.live.fixtures import Live
from tests.live.support import Person, ledger_holds, notification

AWAY_S: Final = 3.0
SOON_S: Final = 10.0
"""Within this long of its store's return, what waited for it has been sent: long before a sweep would find it."""

pytestmark = pytest.mark.chaos


async def post_for(person: Person, seconds: float) -> list[HttpAnswer | None]:
    """The answers to notifications posted one after another, a user each; None where the connection broke."""
    loop = asyncio.get_running_loop()
    stop = loop.time() + seconds
    answers: list[HttpAnswer | None] = []
    while loop.time() < stop:
        try:
            answers.append(
                await person.call("POST /notifications", notification(user_id=f"user-{len(answers)}"))
            )
        except (OSError, asyncio.IncompleteReadError):
            answers.append(None)
    return answers


async def test_accepts_go_on_without_valkey(live: Live, sender: Person, sink: SmtpSink, measure: Measuring):
    await sender.users(1000)
    with live.instance.kept_down("valkey"):
        answers = await post_for(sender, AWAY_S)
        readiness = await sender.client.request("GET /readyz")

    measured = measure(f"Valkey gone for {AWAY_S:.0f} s", len(answers))
    assert {answer.status for answer in answers if answer} == {201}
    assert None not in answers
    assert readiness.json()["status"] == "degraded"
    await live.well()
    await sink.wait_for(len(answers), timeout_s=SOON_S)
    measured.recovered()
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())


async def test_accepts_go_on_while_valkey_hangs(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    """Worse than gone: connections stand, and nobody answers."""
    await sender.users(1000)
    valkey = live.instance.signal("valkey", signal.SIGSTOP)
    try:
        answers = await post_for(sender, AWAY_S)
    finally:
        os.kill(valkey, signal.SIGCONT)

    measured = measure(f"Valkey hangs for {AWAY_S:.0f} s", len(answers))
    assert {answer.status for answer in answers if answer} == {201}
    assert len(answers) >= AWAY_S / 0.5, "each waits 0.2 s for its user's card, and for nothing else"
    await sink.wait_for(len(answers), timeout_s=SOON_S)
    measured.recovered()
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())


async def test_accepts_go_on_while_valkey_has_no_memory_left(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    """It refuses whatever needs memory, and evicts nothing: leases least of all."""
    n = 100
    users = await sender.users(n)
    measured = measure("Valkey out of memory", n)
    async with valkey_limited_to(live, "1mb"):
        await sender.campaign(users)
        readiness = await sender.client.request("GET /readyz")

    await sink.wait_for(n, timeout_s=SOON_S)
    measured.recovered()
    assert readiness.status == 200
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())


@asynccontextmanager
async def valkey_limited_to(live: Live, size: str) -> AsyncGenerator[None]:
    """Less memory than Valkey uses already, while the block lasts."""
    clients = await connect(live.instance.environment_of("worker")["CLARION_REDIS_URL"])
    try:
        _, before = await clients.write.execute_command("CONFIG", "GET", "maxmemory")
        await clients.write.execute_command("CONFIG", "SET", "maxmemory", size)
        yield
        await clients.write.execute_command("CONFIG", "SET", "maxmemory", before)
    finally:
        await clients.close()


async def test_valkey_that_lost_its_data_is_filled_from_postgres(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    """What waits in line and what waits for its time: both are found again."""
    n = 200
    users = await sender.users(n)
    await sink.script(slow(100))
    soon = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
    wanted = {"send_time": "scheduled", "scheduled_at": soon}
    await sender.campaign(users[n // 2 :], optimization=wanted)
    await sender.campaign(users[: n // 2])
    await sink.wait_for(n // 8)
    measured = measure("Valkey's data wiped", n, bound=0)

    folder = DataDirectory.existing(live.instance.data).valkey
    with live.instance.kept_down("valkey"):
        shutil.rmtree(folder / "appendonlydir")

    await sink.wait_for(n, timeout_s=60)
    measured.recovered()
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())
    assert measured.recovery_s < SOON_S


async def test_without_postgres_nothing_is_promised(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    await sender.users(1000)
    with live.instance.kept_down("postgres"):
        away = await post_for(sender, AWAY_S)
    measured = measure(f"Postgres gone for {AWAY_S:.0f} s", 0)

    async def accepted() -> HttpAnswer:
        return await sender.call("POST /notifications", notification(user_id="user-999"))

    again = await eventually(accepted, lambda answer: answer.status == 201)

    told = Counter(answer.status for answer in away if answer)
    assert told[503] > 0
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in away if answer and answer.status == 503)
    assert set(told) <= {201, 503}, "what was committed before the fault may be told, all else is 503"
    assert again.status == 201
    promised = told[201] + 1
    await sink.wait_for(promised, timeout_s=SOON_S)
    measured.recovered()
    measured.n = promised
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())
    assert (await sink.report()).distinct == promised


async def test_connections_to_postgres_that_are_cut_heal(live: Live, sender: Person, sink: SmtpSink):
    """Every backend is ended each time: accepts are repeated under their keys, and none is doubled."""
    users = await sender.users(200)
    for round_ in range(5):
        campaign = asyncio.create_task(sender.campaign(users[round_ * 40 : round_ * 40 + 40]))
        await live.cut_connections()
        assert len(await campaign) == 40

    await sink.wait_for(200, timeout_s=30)
    statuses = await sender.all_over(200)
    report = await sink.report()
    assert statuses == {"sent": 200}
    assert report.distinct == 200
    assert report.duplicates <= 5 * IN_FLIGHT
    assert await ledger_holds(live.instance.data)
