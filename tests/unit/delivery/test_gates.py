"""Portions at an account's gate: one at a time, in turn, urgent ones first."""

from __future__ import annotations

import asyncio

from clarion.delivery.gates import Gates
from clarion.delivery.model import Capabilities

KEY = (b"t" * 16, "relay")
OTHER = (b"t" * 16, "another relay")
NARROW = Capabilities("email", portion=20)
WIDE = Capabilities("email", max_batch=1000)


class Visits:
    """Portions that enter a gate, and stay until they are told to go."""

    def __init__(self) -> None:
        self.gates = Gates()
        self.inside: list[str] = []
        self._calls: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}

    async def come(
        self,
        name: str,
        key: tuple[bytes, str] = KEY,
        capabilities: Capabilities = NARROW,
        *,
        urgent: bool = False,
    ) -> None:
        """One more portion asks to enter; returns when all have had their turn to run."""
        leave = asyncio.Event()

        async def visit() -> None:
            async with self.gates.through(key, capabilities, urgent=urgent):
                self.inside.append(name)
                await leave.wait()

        self._calls[name] = leave, asyncio.create_task(visit())
        await settle()

    async def go(self, name: str) -> None:
        """A portion that is inside ends."""
        leave, task = self._calls.pop(name)
        leave.set()
        await task
        self.inside.remove(name)
        await settle()

    async def cancel(self, name: str) -> None:
        """A portion gives up waiting."""
        _, task = self._calls.pop(name)
        task.cancel()
        await asyncio.wait({task})
        await settle()


async def settle() -> None:
    """Let everybody run who can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_portion_at_a_time_in_the_order_of_asking():
    visits = Visits()
    for name in ("first", "second", "third"):
        await visits.come(name)
    for name in ("first", "second", "third"):
        assert visits.inside == [name]
        await visits.go(name)


async def test_an_urgent_portion_waits_for_the_one_under_way_and_for_no_other():
    visits = Visits()
    for name in ("campaign-1", "campaign-2", "campaign-3"):
        await visits.come(name)
    await visits.come("code", urgent=True)
    assert visits.inside == ["campaign-1"]

    await visits.go("campaign-1")
    assert visits.inside == ["code"]
    await visits.go("code")
    await visits.go(visits.inside[0])
    await visits.go(visits.inside[0])

    assert visits.inside == []


async def test_accounts_do_not_wait_for_one_another_nor_do_those_that_take_whole_batches():
    visits = Visits()
    await visits.come("narrow")
    await visits.come("other", OTHER)
    await visits.come("wide-1", KEY, WIDE)
    await visits.come("wide-2", KEY, WIDE)
    assert visits.inside == ["narrow", "other", "wide-1", "wide-2"]
    for name in list(visits.inside):
        await visits.go(name)


async def test_who_gives_up_leaves_the_gate_to_the_others():
    visits = Visits()
    await visits.come("first")
    await visits.come("impatient", urgent=True)
    await visits.come("second")

    await visits.cancel("impatient")
    await visits.go("first")

    assert visits.inside == ["second"]
    await visits.go("second")
