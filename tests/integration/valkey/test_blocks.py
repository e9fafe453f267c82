"""Floods of text messages to one block of numbers, as Valkey counts them for all workers."""

from __future__ import annotations

import secrets

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.spending import ValkeyBlocks
from clarion.delivery.pumping import STOPPED_MS, Block, BlockCount
from clarion.tenancy.spending import Guard

NOON = 1_795_348_800_000
DAY_MS = 86_400_000
PREFIX = "+3361234"


@pytest.fixture
def block() -> Block:
    return Block(secrets.token_bytes(16), PREFIX)


async def stopped(
    clients: ValkeyClients, block: Block, sent: int, at_ms: int = NOON, guard: Guard | None = None
) -> list[tuple[str, bool]]:
    """Tell a count; the stopped blocks, and whether this has stopped them."""
    found = await ValkeyBlocks(clients).tell([BlockCount(block, sent, guard or Guard())], at_ms)
    return [(one.block.prefix, one.is_new) for one in found]


@pytest.mark.parametrize(
    ("day_before", "this_hour", "is_flood"),
    [(0, 300, False), (0, 301, True), (24 * 40, 400, False), (24 * 40, 401, True), (24 * 10, 301, True)],
)
async def test_a_flood_is_much_more_than_usual_and_not_few(
    clients: ValkeyClients, block: Block, day_before: int, this_hour: int, *, is_flood: bool
):
    assert await stopped(clients, block, day_before, NOON - DAY_MS, Guard(floor=1_000_000)) == []
    assert await stopped(clients, block, this_hour) == ([(PREFIX, True)] if is_flood else [])


async def test_all_workers_count_together_and_hear_of_it(clients: ValkeyClients, block: Block):
    assert await stopped(clients, block, 200) == []
    assert await stopped(clients, block, 101) == [(PREFIX, True)]
    assert await stopped(clients, Block(block.tenant_id, ""), 0) == [(PREFIX, False)]
    assert await stopped(clients, Block(secrets.token_bytes(16), ""), 0) == []


async def test_a_stop_ends_an_hour_after_the_last_sign(clients: ValkeyClients, block: Block):
    await stopped(clients, block, 301)
    assert await stopped(clients, block, 1, NOON + 60_000) == [(PREFIX, False)]
    asking = Block(block.tenant_id, "")
    assert await stopped(clients, asking, 0, NOON + STOPPED_MS) == [(PREFIX, False)]
    assert await stopped(clients, asking, 0, NOON + STOPPED_MS + 60_001) == []


async def test_who_switched_it_off_is_not_stopped(clients: ValkeyClients, block: Block):
    assert await stopped(clients, block, 100_000, guard=Guard(enabled=False)) == []
