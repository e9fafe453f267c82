"""Processes that die by `kill -9` in the middle of a campaign: every message arrives, and few arrive twice."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from clarion.testing.smtp import SmtpSink
from tests.chaos.support import IN_FLIGHT, Measuring, slow
from tests.live.fixtures import LEASE_S, Live
from tests.live.support import SENDING, Person, count, fetch, ledger_holds, verify_ledger

N: Final = 1_000
DRAIN_S: Final = 8.0
"""What N messages take on a busy machine once somebody sends them."""

pytestmark = pytest.mark.chaos


async def test_a_worker_killed_in_mid_campaign(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    users = await sender.users(N)
    await sink.script(slow(50))
    await sender.campaign(users)
    await sink.wait_for(N // 4)
    measured = measure("worker killed", N)

    live.instance.signal("worker")
    # Nobody is left to record these: exactly what was in flight, as `clarion ledger verify --json` tells everybody.
    measured.bound = await count(live.instance, SENDING)

    await sink.wait_for(N, timeout_s=60)
    measured.recovered()
    assert (await verify_ledger(live.instance.data)).code == 0
    measured.settle(await sink.report())
    assert 0 < measured.bound <= IN_FLIGHT
    assert measured.recovery_s < LEASE_S + DRAIN_S


async def test_valkey_killed_in_mid_campaign(live: Live, sender: Person, sink: SmtpSink, measure: Measuring):
    """Those who send are alive and know what they sent: there is no reason for a duplicate."""
    users = await sender.users(N)
    await sink.script(slow(50))
    await sender.campaign(users)
    await sink.wait_for(N // 4)
    measured = measure("Valkey killed", N, bound=0)

    live.instance.signal("valkey")

    await sink.wait_for(N, timeout_s=60)
    measured.recovered()
    assert (await verify_ledger(live.instance.data)).code == 0
    measured.settle(await sink.report())
    assert measured.recovery_s < LEASE_S + DRAIN_S


async def test_postgres_killed_in_mid_campaign(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    """The worker keeps its outcomes until Postgres is back. Only where that takes longer than a lease it may double."""
    users = await sender.users(N)
    await sink.script(slow(50))
    await sender.campaign(users)
    await sink.wait_for(N // 4)
    measured = measure("Postgres killed", N, bound=IN_FLIGHT)

    live.instance.signal("postgres")

    await sink.wait_for(N, timeout_s=60)
    measured.recovered()
    assert (await verify_ledger(live.instance.data)).code == 0
    measured.settle(await sink.report())
    assert measured.recovery_s < LEASE_S + DRAIN_S


async def test_the_api_killed_while_clients_post(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    """Who got no answer asks again under the same key: what was told is kept, and nothing is promised twice."""
    n = 120
    users = await sender.users(n)
    posting = [asyncio.create_task(sender.notify(user_id=name)) for name in users]
    measured = measure("API killed while clients post", n)
    live.instance.signal("api")

    told = [answer["notification_id"] for answer in await asyncio.gather(*posting)]

    await sink.wait_for(n, timeout_s=60)
    measured.recovered()
    assert len(set(told)) == n
    assert await sender.all_over(n) == {"sent": n}
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())


@pytest.mark.parametrize("point", ["loaded", "intended", "answered", "recorded"])
async def test_a_worker_that_dies_at_a_point_of_no_return(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring, point: str
):
    """After the claim; after the intent; after the provider's answer; after the outcome, before the queue knows it."""
    n = 60
    users = await sender.users(n)
    worker = live.instance.pid_of("worker")
    measured = measure(f"worker dies when a batch is {point}", n, IN_FLIGHT if point == "answered" else 0)

    live.crash.write_text(point)
    await sender.campaign(users)
    await sender.all_over(n)
    measured.recovered()

    assert not live.crash.exists()
    assert live.instance.pid_of("worker") != worker
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())


async def test_a_category_that_parks_never_risks_a_second_copy(live: Live, sender: Person, sink: SmtpSink):
    """`on_ambiguity: park`, as marketing does: what was in flight at the crash ends as `unknown`."""
    users = await sender.users(60)
    await sender.get("PUT /categories/offers", {"class": "transactional", "on_ambiguity": "park"})

    live.crash.write_text("answered")
    await sender.campaign(users, category="offers")
    statuses = await sender.all_over(len(users))

    report = await sink.report()
    assert set(statuses) == {"sent", "unknown"}
    assert 0 < statuses["unknown"] <= IN_FLIGHT
    assert report.distinct == len(users)
    assert report.duplicates == 0
    assert await ledger_holds(live.instance.data)


async def test_a_row_deleted_by_hand_is_missed(live: Live, sender: Person):
    users = await sender.users(3)
    first, *_ = await sender.campaign(users)
    await sender.all_over(3)
    await fetch(
        live.instance, "CREATE TABLE taken AS SELECT * FROM notifications WHERE notification_id = $1", first
    )
    await fetch(live.instance, "DELETE FROM notifications WHERE notification_id = $1", first)

    ledger = await verify_ledger(live.instance.data)

    await fetch(live.instance, "INSERT INTO notifications SELECT * FROM taken")
    await fetch(live.instance, "DROP TABLE taken")
    assert ledger.code == 1
    assert any("3 deliveries promised, 2 there" in problem for problem in ledger.said["problems"])
    assert await ledger_holds(live.instance.data)
