"""C-10, clocks that are 30 s off.

Read as: where the wall clock of the API's or the worker's machine is 30 s ahead or behind, everything happens at the
store's time all the same: nothing is sent early, expires early, or is late by that much, and leases end when they
should. The specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import pytest
import pytest_asyncio

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import slow
from tests.live.fixtures import LEASE_S, Live
from tests.live.support import SENDING, Person, count, fetch, ledger_holds, move_in, scrape

OFF_S: Final = 30
SetClocks = Callable[[int, int], Awaitable[None]]


@pytest_asyncio.fixture
async def set_clocks(live: Live) -> AsyncGenerator[SetClocks]:
    """Restarts API and worker with clocks that are so many seconds ahead; with right ones at the end."""

    async def restart() -> None:
        for role in ("api", "worker"):
            live.instance.signal(role)
        await live.well()

    async def set_wrong(api_s: int, worker_s: int) -> None:
        await asyncio.to_thread(live.clocks.write_text, f"api={api_s} worker={worker_s}")
        await restart()

    yield set_wrong
    await asyncio.to_thread(live.clocks.unlink)
    await restart()


async def test_C10_due_times_expiry_and_leases_follow_the_stores_clock(
    live: Live, person: Person, sink: SmtpSink, set_clocks: SetClocks
):
    for api_s in (OFF_S, -OFF_S):
        await set_clocks(api_s, -api_s)
        assert await seconds_ahead_of_api(person) == pytest.approx(api_s, abs=2)
        assert await seconds_ahead_of_worker(live) == pytest.approx(-api_s, abs=1)
        await sink.reset()
        sender = await move_in(live.instance)
        await sender.mail_through(sink)

        await send_at_the_right_time(live, sender)
        await survive_the_worker(live, sender, sink)


async def send_at_the_right_time(live: Live, sender: Person) -> None:
    """What is scheduled is neither early nor late, and what expires soon has not expired yet."""
    await sender.users(2)
    scheduled = await sender.in_seconds(3, user_id="user-0")
    brief = await sender.notify(user_id="user-1", expires_at=await store_time(live, 15))

    assert scheduled["status"] == "scheduled"
    assert await sender.ends(brief["notification_id"]) == "sent"
    assert await sender.ends(scheduled["notification_id"]) == "sent"
    rows = await fetch(live.instance, "SELECT * FROM notifications WHERE tenant_id = $1", sender.tenant_id)
    for row in rows:
        due, sent = row["ml_send_time"] or row["created_at"], row["sent_at"]
        assert due - timedelta(seconds=1) <= sent < due + timedelta(seconds=5)


async def survive_the_worker(live: Live, sender: Person, sink: SmtpSink) -> None:
    """The leases of a dead worker end when they should."""
    users = await sender.users(40)
    await sink.script(slow(100))
    await sender.campaign(users)
    await sink.wait_for(12)

    live.instance.signal("worker")
    in_flight = await count(live.instance, SENDING)
    await sink.wait_for(42, timeout_s=LEASE_S + 8)

    assert await sender.all_over(42) == {"sent": 42}
    assert (await sink.report()).duplicates <= in_flight
    assert await ledger_holds(live.instance.data)


async def seconds_ahead_of_api(person: Person) -> float:
    answer = await person.client.request("GET /healthz")
    return (parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)).total_seconds()


async def seconds_ahead_of_worker(live: Live) -> float:
    """As it says itself, once it has looked."""

    async def drift() -> float:
        return (await scrape(live.metrics_port))["clarion_clock_drift_seconds"]

    return await eventually(drift, lambda seconds: abs(seconds) > 1)


async def store_time(live: Live, seconds_ahead: float) -> str:
    """An instant by Postgres's clock."""
    ((at,),) = await fetch(live.instance, "SELECT clock_timestamp() + $1 * interval '1 s'", seconds_ahead)
    return at.isoformat()
