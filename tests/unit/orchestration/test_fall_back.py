"""Falling back with a store that stumbles: one chain that cannot be handled holds up no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from clarion.contracts.commands import FallbackStep
from clarion.kernel.errors import Transient
from clarion.orchestration.chains import Leg
from clarion.orchestration.fall_back import FallbackPorts, Move, Moved, Waiting, fall_back
from clarion.testing.clock import ManualClock

CHAINS = 7
LEASE_MS = 1000


def succeeded(number: int) -> Waiting:
    """A chain that needs nothing but its end."""
    ident = number.to_bytes(16, "big")
    leg = Leg(ident, "push", "delivered", 1)
    return Waiting(
        ident, b"t" * 16, 1, [FallbackStep("sms")], 0, [leg], "ada", "service", 5, 7, 0, is_test=False
    )


class Stumbling:
    """Has CHAINS due chains, and stumbles over `over`."""

    def __init__(self, over: int, error: Exception) -> None:
        self.over = over.to_bytes(16, "big")
        self.error = error
        self.ended: list[int] = []

    async def take(self, limit: int, *, lease_ms: int) -> list[Waiting]:
        assert lease_ms == LEASE_MS
        return [succeeded(number) for number in range(min(limit, CHAINS))]

    async def move(self, moves: Sequence[Move], now_ms: int) -> Moved:
        assert now_ms == ManualClock().now_ms()
        if any(move.chain.notification_id == self.over for move in moves):
            raise self.error
        self.ended += [int.from_bytes(move.chain.notification_id, "big") for move in moves]
        return Moved([], [])


def ports(store: Stumbling) -> FallbackPorts:
    # Chains that are over ask for nothing else.
    nobody = cast("Any", None)
    return FallbackPorts(store, nobody, nobody, nobody, nobody, nobody, ManualClock())


@pytest.mark.parametrize("over", range(CHAINS))
async def test_all_but_the_one_are_moved(over: int):
    store = Stumbling(over, ValueError("a defect"))
    progress = await fall_back(ports(store), 100, lease_ms=LEASE_MS)
    assert progress.chains == CHAINS
    assert [str(error) for error in progress.errors] == ["a defect"]
    assert sorted(store.ended) == [number for number in range(CHAINS) if number != over]


async def test_an_outage_is_the_callers_to_hear_of():
    store = Stumbling(0, Transient("the database is away"))
    with pytest.raises(Transient):
        await fall_back(ports(store), 100, lease_ms=LEASE_MS)
