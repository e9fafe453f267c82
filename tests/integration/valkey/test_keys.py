"""What stands in Valkey: names and lives of keys, what becomes of foreign bytes, and that a batch is one call."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest

from clarion.adapters.eventlog.streams import StreamsEventLog
from clarion.adapters.valkey.cards import ValkeyCards
from clarion.adapters.valkey.client import ValkeyClient, ValkeyClients
from clarion.adapters.valkey.context import DOCUMENT, ValkeyContexts
from clarion.adapters.valkey.rate_limit import ValkeyRateLimiter
from clarion.adapters.valkey.reservations import ValkeyReservations
from clarion.audience.model import Card
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.delivery.ports import CapRequest
from clarion.orchestration.ports import Subscription
from clarion.tenancy.quotas import Take
from clarion.testing.valkey_servers import ValkeyServer

TENANT = bytes(range(16))
DAY_MS = 24 * 3600 * 1000


class Counting:
    """A client that counts the round trips it passes on."""

    def __init__(self, client: ValkeyClient) -> None:
        self.client = client
        self.trips = 0

    def execute_command(self, *args: Any, **options: Any) -> Awaitable[Any]:
        self.trips += 1
        return self.client.execute_command(*args, **options)

    def pipeline(self, transaction: Any = None) -> Any:
        self.trips += 1
        return self.client.pipeline(transaction)

    async def aclose(self) -> None:
        await self.client.aclose()


@pytest.fixture
def counting(clients: ValkeyClients) -> Counting:
    return Counting(clients.write)


@pytest.fixture
def counted(clients: ValkeyClients, counting: Counting) -> ValkeyClients:
    return msgspec.structs.replace(clients, write=counting, read=counting, blocking=counting)


def make_card(name: str, version: int = 1) -> Card:
    return Card(9, version, name, "UTC", "en", "NO", "email", 1)


def only_key(server: ValkeyServer) -> bytes:
    [key] = server.ask("KEYS", "*")
    return key


async def test_a_card_lives_a_week_under_its_bucket_tenant_and_name(
    server: ValkeyServer, clients: ValkeyClients
):
    await ValkeyCards(clients).put(TENANT, [make_card("ann", version=258)])
    key = only_key(server)
    assert key == b"user:{28}:000102030405060708090a0b0c0d0e0f:ann"
    assert 6.9 * DAY_MS < server.ask("PTTL", key) <= 7 * DAY_MS
    assert server.ask("GETRANGE", key, 0, 7) == (258).to_bytes(8, "big")


@pytest.mark.parametrize("blob", [b"", b"short", b"\x00" * 8 + b"\xc1garbage", b"\x00" * 8 + b"\x91\x01"])
async def test_bytes_that_are_no_card_are_a_miss_and_make_room(
    server: ValkeyServer, clients: ValkeyClients, blob: bytes
):
    cards = ValkeyCards(clients)
    await cards.put(TENANT, [make_card("ann")])
    server.ask("SET", only_key(server), blob)
    assert await cards.read(TENANT, ["ann"]) == [None]
    await cards.put(TENANT, [make_card("ann")])
    assert await cards.read(TENANT, ["ann"]) == [make_card("ann")], "the same version can take its place"


async def test_a_card_of_a_later_release_can_be_read(server: ValkeyServer, clients: ValkeyClients):
    cards = ValkeyCards(clients)
    await cards.put(TENANT, [make_card("ann")])
    fields: list[Any] = [*msgspec.to_builtins(make_card("ann")), "a field that was appended"]
    server.ask("SET", only_key(server), b"\x00" * 8 + msgspec.msgpack.encode(fields))
    assert await cards.read(TENANT, ["ann"]) == [make_card("ann")]


async def test_a_context_lives_thirty_days_after_the_last_word(server: ValkeyServer, clients: ValkeyClients):
    contexts = ValkeyContexts(clients)
    await contexts.merge(7, {"city": "Oslo"})
    assert only_key(server) == b"user_context:{7}"
    server.ask("PEXPIRE", b"user_context:{7}", 100_000)
    await contexts.merge(7, {"plan": "pro"})
    assert 29.9 * DAY_MS < server.ask("PTTL", b"user_context:{7}") <= 30 * DAY_MS
    assert server.ask("HGET", b"user_context:{7}", "city") == b'"Oslo"'


async def test_an_empty_context_leaves_no_key(server: ValkeyServer, clients: ValkeyClients):
    contexts = ValkeyContexts(clients)
    await contexts.merge(7, {"city": "Oslo"})
    await contexts.merge(7, {"city": None})
    assert server.ask("KEYS", "*") == []


@pytest.mark.parametrize("document", [b"", b"{not json", b"\xff", b"[1]"])
async def test_a_document_that_is_not_ours_spoils_no_neighbours_context(
    server: ValkeyServer, clients: ValkeyClients, document: bytes
):
    contexts = ValkeyContexts(clients)
    await contexts.merge(7, {"city": "Oslo"})
    await contexts.merge(8, {"city": "Bergen"})
    server.ask("HSET", b"user_context:{7}", DOCUMENT, document)
    assert await contexts.read([7, 8]) == [{}, {"city": "Bergen"}]
    await contexts.merge(7, {"plan": "pro"})
    assert await contexts.read([7]) == [{"city": "Oslo", "plan": "pro"}]


async def test_an_allowance_is_forgotten_three_days_after_its_first_place(
    server: ValkeyServer, clients: ValkeyClients
):
    reservations = ValkeyReservations(clients)
    await reservations.reserve([CapRequest(os.urandom(16), 1 << 48 | 70, "marketing", 20260102, 3)])
    key = only_key(server)
    assert key == b"cap:{06}:281474976710726:marketing:20260102"
    server.ask("PEXPIRE", key, 100_000)
    await reservations.reserve([CapRequest(os.urandom(16), 1 << 48 | 70, "marketing", 20260102, 3)])
    assert server.ask("PTTL", key) <= 100_000, "later places do not prolong it"
    assert server.ask("SCARD", key) == 2


async def test_a_full_bucket_needs_no_key_and_a_jumping_clock_locks_nobody_out(
    server: ValkeyServer, clients: ValkeyClients
):
    limiter = ValkeyRateLimiter(clients, timeout_s=5)
    take = Take(TENANT, "send", 1, 10.0, 20.0)
    await limiter.take([take])
    key = only_key(server)
    assert key == b"rate:{000102030405060708090a0b0c0d0e0f}:send"
    assert 0 < server.ask("PTTL", key) <= 102
    server.ask("SET", key, (await clients.server_time_ms()) + 3_600_000)  # the clock was set back by an hour
    [verdict] = await limiter.take([take])
    assert verdict.outcome == "throttled"
    assert verdict.retry_after_s <= 0.1
    assert verdict.reset_s <= 2.0


async def test_a_batch_is_one_round_trip(counted: ValkeyClients, counting: Counting):
    names = [f"user-{number}" for number in range(500)]
    requests = [CapRequest(os.urandom(16), number, "marketing", 1, 3) for number in range(500)]
    takes = [Take(os.urandom(16), "send", 1, 10.0, 20.0) for _ in range(64)]
    log = StreamsEventLog(counted)
    subscription = Subscription("projector", "worker-1", NOTIFICATION_EVENTS)
    warm_up = [
        ValkeyCards(counted).put(TENANT, [make_card("x")]),
        ValkeyContexts(counted).read([1]),
        ValkeyReservations(counted).reserve(requests[:1]),
        ValkeyReservations(counted).used(requests[:1]),
        ValkeyReservations(counted).release(requests[:1]),
        ValkeyRateLimiter(counted, timeout_s=5).take(takes[:1]),
        log.read(subscription, max_entries=1),
    ]
    for call in warm_up:  # loads the scripts, makes the groups
        await call
    calls = [
        ValkeyCards(counted).put(TENANT, [make_card(name) for name in names]),
        ValkeyCards(counted, timeout_s=5).read(TENANT, names),
        ValkeyContexts(counted).read(range(500)),
        ValkeyReservations(counted).reserve(requests),
        ValkeyReservations(counted).used(requests),
        ValkeyReservations(counted).release(requests),
        ValkeyRateLimiter(counted, timeout_s=5).take(takes),
        log.append(NOTIFICATION_EVENTS, [(number, b"payload") for number in range(500)]),
        log.read(subscription, max_entries=500),
        log.lag("projector", NOTIFICATION_EVENTS),
    ]
    for call in calls:
        before = counting.trips
        await call
        assert counting.trips == before + 1
