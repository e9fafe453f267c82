"""The lane of calls to other people's servers: bounded, fair, and each call once."""

from __future__ import annotations

import asyncio

from clarion.journeys.graph import FetchSpec
from clarion.journeys.model import Ask, Done, Instance, Progress
from clarion.journeys.slow import Finished, SlowLane, Work

TENANTS = (b"a" * 16, b"b" * 16)


def ask(number: int, tenant_id: bytes = TENANTS[0]) -> Ask:
    ident = number.to_bytes(16, "big")
    run = Instance(
        ident,
        tenant_id,
        bytes(16),
        1,
        7,
        "r",
        is_test=False,
        status="active",
        seq=1,
        step="s",
        due_ms=0,
        progress=Progress(),
        context_version=0,
        entered_ms=0,
    )
    return Ask(run, "s", 1, -1, 0, tenant_id[:1] + ident[1:], 1_000, FetchSpec("https://example.com"))


class Gate:
    """Work that waits until it is let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: list[bytes] = []

    def work(self, one: Ask) -> Work:
        async def run() -> Done:
            self.begun.append(one.instance.tenant_id)
            await self.open.wait()
            return Done(one.step, one.visit, one.rung, result="http_200")

        return run


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_so_many_run_at_once():
    lane, gate = SlowLane(calls=4, calls_of_tenant=3), Gate()
    for number in range(10):
        lane.begin(ask(number), gate.work(ask(number)))
    await settled()
    assert len(gate.begun) == 3
    gate.open.set()
    found: list[Finished] = []
    while len(found) < 10:
        found += await lane.collect(100, 5)
    assert sorted(one.instance_id for one in found) == [number.to_bytes(16, "big") for number in range(10)]
    await lane.close()


async def test_a_tenant_whose_servers_hang_leaves_room_for_others():
    lane, gate = SlowLane(calls=4, calls_of_tenant=3), Gate()
    for number in range(100):
        lane.begin(ask(number), gate.work(ask(number)))
    lane.begin(ask(0, TENANTS[1]), gate.work(ask(0, TENANTS[1])))
    await settled()
    assert gate.begun.count(TENANTS[1]) == 1
    await lane.close()


async def test_of_one_effect_one_call_is_under_way():
    lane, gate = SlowLane(), Gate()
    for _ in range(3):
        assert lane.begin(ask(1), gate.work(ask(1)))
    await settled()
    assert len(gate.begun) == lane.under_way == 1
    gate.open.set()
    assert len(await lane.collect(10, 1)) == 1
    assert lane.under_way == 0
    lane.begin(ask(1), gate.work(ask(1)))
    assert len(await lane.collect(10, 1)) == 1
    await lane.close()


async def test_closing_gives_up_what_is_under_way():
    lane, gate = SlowLane(calls=1), Gate()
    for number in range(3):
        lane.begin(ask(number), gate.work(ask(number)))
    await settled()
    await lane.close()
    assert await lane.collect(10, 0) == []
    assert lane.under_way == 0
