"""`clarion demo`, the newcomer's first look: every message arrives, also where something dies in the middle."""

from __future__ import annotations

import asyncio
import re

import msgspec

from clarion.testing.waiting import eventually
from tests.chaos.support import IN_FLIGHT
from tests.live.fixtures import Live
from tests.live.support import SENDING, count, ledger_holds, run_clarion


async def test_three_hundred_of_three_hundred(live: Live):
    await live.well()

    done = await run_clarion("demo", "--data", live.instance.data, "--users", "300", "--json")

    assert done.code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    told = msgspec.json.decode(done.stdout)
    assert told.pop("seconds") > 0
    assert told == {
        "accepted": 300,
        "statuses": {"sent": 300},
        "received": 300,
        "distinct": 300,
        "duplicates": 0,
    }


async def test_a_thousand_of_a_thousand_though_the_worker_is_killed(live: Live):
    """As the README invites its readers to do. The table at the end adds up, and says where to look next."""
    await live.well()
    demo = asyncio.create_task(run_clarion("demo", "--data", live.instance.data, "--users", "1000"))

    async def sending() -> int:
        return await count(live.instance, SENDING)

    await eventually(sending, every_s=0.01)
    live.instance.signal("worker")
    in_flight = await sending()

    done = await demo
    assert done.code == 0, done.stderr
    numbers = {
        "accepted by the API": "1,000",
        "sent": "1,000",
        "distinct": "1,000",
        "duplicates": r"\d+",
    }
    told = {what: re.search(rf"│ +{what}.* (?P<n>{n}) │", done.stdout) for what, n in numbers.items()}
    assert all(told.values()), done.stdout
    doubled = told["duplicates"]
    assert doubled is not None
    assert int(doubled["n"]) <= in_flight <= IN_FLIGHT
    assert "every one is accounted for" in done.stdout
    assert "clarion ledger verify --data" in done.stdout
    assert await ledger_holds(live.instance.data)
