"""`clarion demo`, the newcomer's first look: every message arrives, also where something dies in the middle."""

from __future__ import annotations

import asyncio

import msgspec

from clarion.testing.waiting import eventually
from tests.chaos.support import IN_FLIGHT
from tests.live.fixtures import LEASE_S, Live
from tests.live.support import SENDING, count, run_clarion, verify_ledger


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
    """As the README invites its readers to do."""
    await live.well()
    demo = asyncio.create_task(run_clarion("demo", "--data", live.instance.data, "--users", "1000", "--json"))

    async def sending() -> int:
        return await count(live.instance, SENDING)

    await eventually(sending, every_s=0.01)
    live.instance.signal("worker")
    in_flight = await sending()

    done = await demo
    assert done.code == 0, done.stderr
    told = msgspec.json.decode(done.stdout)
    assert (told["accepted"], told["distinct"], told["statuses"]) == (1000, 1000, {"sent": 1000})
    assert told["duplicates"] <= in_flight <= IN_FLIGHT
    assert told["seconds"] < LEASE_S + 20
    assert (await verify_ledger(live.instance.data)).code == 0


async def test_it_says_in_a_table_what_became_of_each_and_where_to_look_next(live: Live):
    await live.well()

    done = await run_clarion("demo", "--data", live.instance.data, "--users", "10")

    assert done.code == 0, done.stderr
    assert "What became of it" in done.stdout
    assert "every one is accounted for" in done.stdout
    assert "clarion ledger verify --data" in done.stdout
