"""`CardCache`: what a decision may rely on when it reads cards, whichever store holds them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TypeAlias

import pytest

from clarion.adapters.valkey.cards import ValkeyCards
from clarion.adapters.valkey.client import ValkeyClients
from clarion.audience.model import Card
from clarion.compliance.model import ConsentState
from clarion.kernel.clock import StoreClock
from clarion.orchestration.ports import CardCache
from clarion.tenancy.model import QuietHours
from clarion.testing.valkey import InMemoryCards

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make: TypeAlias = Callable[[int], CardCache]
"""Makes the cache under test, with the milliseconds for which it keeps a dropped card out."""


def make_card(external_id: str, version: int = 1, timezone: str = "Asia/Tokyo") -> Card:
    return Card(7 << 48 | 9, version, external_id, timezone, "ja", "JP", "push", 0b011)


@pytest.fixture
def make(clients: ValkeyClients | None) -> Make:
    def make(guard_ms: int) -> CardCache:
        if clients is None:
            return InMemoryCards(StoreClock(), guard_ms)
        return ValkeyCards(clients, guard_ms=guard_ms, timeout_s=5)

    return make


@pytest.fixture
def cards(make: Make) -> CardCache:
    return make(10_000)


@pytest.fixture
def tenant() -> bytes:
    return os.urandom(16)


async def test_a_card_comes_back_with_everything(cards: CardCache, tenant: bytes):
    card = Card(
        *(7 << 48 | 9, 3, "ann", "Europe/Berlin", "de", "DE", "email", 0b111),
        consent=ConsentState({"marketing": 0b001}, {"*": 0b100}, 0b010),
        preferences={"service": 0b010},
        quiet_hours=QuietHours(1320, 480),
    )
    await cards.put(tenant, [card])
    assert await cards.read(tenant, ["ann"]) == [card]


async def test_cards_come_in_the_order_asked_with_none_for_a_miss(cards: CardCache, tenant: bytes):
    known = [make_card(f"user-{number}") for number in range(300)]
    await cards.put(tenant, known)
    asked = [name for card in reversed(known) for name in (card.external_id, f"un{card.external_id}")]
    found = await cards.read(tenant, asked)
    assert found[::2] == known[::-1]
    assert found[1::2] == [None] * 300


async def test_the_same_id_may_be_asked_for_twice(cards: CardCache, tenant: bytes):
    await cards.put(tenant, [make_card("ann")])
    assert await cards.read(tenant, ["ann", "bob", "ann"]) == [make_card("ann"), None, make_card("ann")]


async def test_no_ids_and_no_cards_are_no_trouble(cards: CardCache, tenant: bytes):
    await cards.put(tenant, [])
    await cards.drop(tenant, [])
    assert await cards.read(tenant, []) == []


async def test_only_a_newer_version_replaces_a_card(cards: CardCache, tenant: bytes):
    there = make_card("ann", version=256, timezone="Asia/Tokyo")
    await cards.put(tenant, [there])
    await cards.put(tenant, [make_card("ann", 255, "Europe/Paris"), make_card("ann", 256, "Europe/Rome")])
    assert await cards.read(tenant, ["ann"]) == [there]
    newer = make_card("ann", 257, "Europe/Madrid")
    await cards.put(tenant, [newer])
    assert await cards.read(tenant, ["ann"]) == [newer]


async def test_of_two_versions_in_one_call_the_newer_stays(cards: CardCache, tenant: bytes):
    await cards.put(
        tenant, [make_card("ann", 2), make_card("ann", 1), make_card("bob", 1), make_card("bob", 2)]
    )
    assert await cards.read(tenant, ["ann", "bob"]) == [make_card("ann", 2), make_card("bob", 2)]


async def test_tenants_do_not_see_each_others_cards(cards: CardCache, tenant: bytes):
    await cards.put(tenant, [make_card("ann")])
    assert await cards.read(os.urandom(16), ["ann"]) == [None]


@pytest.mark.parametrize("name", ["a{b}c", "a b\r\n*3", "ä" * 200, "名前", ":", "a\ud800"])
async def test_any_text_is_a_name(cards: CardCache, tenant: bytes, name: str):
    assert await cards.read(tenant, [name, "bob"]) == [None, None]
    if name.isprintable() and "\ud800" not in name:
        await cards.put(tenant, [make_card(name)])
        assert await cards.read(tenant, [name]) == [make_card(name)]


async def test_a_card_read_before_a_drop_does_not_come_back(cards: CardCache, tenant: bytes):
    await cards.put(tenant, [make_card("ann", 5), make_card("bob", 5)])
    await cards.drop(tenant, ["ann", "never-seen"])
    assert await cards.read(tenant, ["ann", "bob"]) == [None, make_card("bob", 5)]
    await cards.put(tenant, [make_card("ann", 6), make_card("never-seen", 1)])
    assert await cards.read(tenant, ["ann", "never-seen"]) == [None, None]


async def test_some_time_after_a_drop_cards_are_kept_again(make: Make, tenant: bytes):
    cards = make(1)
    await cards.put(tenant, [make_card("ann", 5)])
    await cards.drop(tenant, ["ann"])
    async with asyncio.timeout(10):
        while await cards.read(tenant, ["ann"]) == [None]:
            await cards.put(tenant, [make_card("ann", 1)])
            await asyncio.sleep(0)
    assert await cards.read(tenant, ["ann"]) == [make_card("ann", 1)]
