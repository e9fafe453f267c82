"""Valkey is away, frozen, full, or has lost everything: callers are told to try again, and can go on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from clarion.adapters.eventlog.streams import StreamsEventLog
from clarion.adapters.valkey.cards import ValkeyCards
from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.adapters.valkey.context import ValkeyContexts
from clarion.adapters.valkey.rate_limit import ValkeyRateLimiter
from clarion.adapters.valkey.reservations import ValkeyReservations
from clarion.audience.model import Card
from clarion.contracts.topics import Topic
from clarion.delivery.ports import CapRequest
from clarion.kernel.errors import Transient
from clarion.orchestration.ports import Subscription
from clarion.tenancy.quotas import LocalBuckets, Take
from clarion.testing.valkey_servers import ValkeyServer, valkey_server

TENANT = bytes(16)
TOPIC = Topic("outages", 4, 1000)
READER = Subscription("projector", "worker-1", TOPIC)
TAKE = Take(TENANT, "send", 1, 10.0, 20.0)
Call: TypeAlias = Callable[[ValkeyClients], Awaitable[object]]


def cap() -> CapRequest:
    return CapRequest(os.urandom(16), 1, "marketing", 1, 3)


CALLS: dict[str, Call] = {
    "read cards": lambda clients: ValkeyCards(clients).read(TENANT, ["ann"]),
    "put cards": lambda clients: ValkeyCards(clients).put(
        TENANT, [Card(9, 1, "ann", "UTC", "en", "NO", "email", 1)]
    ),
    "drop cards": lambda clients: ValkeyCards(clients).drop(TENANT, ["ann"]),
    "merge context": lambda clients: ValkeyContexts(clients).merge(1, {"a": 1}),
    "read contexts": lambda clients: ValkeyContexts(clients).read([1]),
    "reserve": lambda clients: ValkeyReservations(clients).reserve([cap()]),
    "used": lambda clients: ValkeyReservations(clients).used([cap()]),
    "take": lambda clients: ValkeyRateLimiter(clients).take([TAKE]),
    "append": lambda clients: StreamsEventLog(clients).append(TOPIC, [(1, b"x")]),
    "read log": lambda clients: StreamsEventLog(clients).read(READER, max_entries=4, block_ms=100),
    "claim": lambda clients: StreamsEventLog(clients).claim(READER, idle_ms=0, max_entries=4),
    "lag": lambda clients: StreamsEventLog(clients).lag("projector", TOPIC),
    "trim": lambda clients: StreamsEventLog(clients).trim([TOPIC]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_server_that_is_gone_is_transient_and_its_return_is_noticed(tmp_path: Path, call: Call):
    with valkey_server(tmp_path / "data") as server:
        clients = await connect(server.url)
        try:
            await call(clients)
            server.kill()
            async with asyncio.timeout(5):
                with pytest.raises(Transient):
                    await call(clients)
            server.start()
            await _soon(lambda: call(clients))
        finally:
            await clients.close()


async def test_a_frozen_server_costs_a_request_no_more_than_its_timeout(
    server: ValkeyServer, clients: ValkeyClients
):
    limiter, cards, local = ValkeyRateLimiter(clients), ValkeyCards(clients), LocalBuckets()
    server.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(2):
            with pytest.raises(Transient):
                await limiter.take([TAKE])
            with pytest.raises(Transient):
                await cards.read(TENANT, ["ann"])
    finally:
        server.send(signal.SIGCONT)
    [verdict] = local.take([TAKE], 0.0)
    assert verdict.allowed
    await _soon(lambda: limiter.take([TAKE]))


async def test_a_full_server_refuses_writes_and_goes_on_reading(tmp_path: Path):
    with valkey_server(tmp_path / "data") as server:
        clients = await connect(server.url)
        log = StreamsEventLog(clients)
        try:
            await log.append(TOPIC, [(1, b"before")])
            assert await log.read(READER, max_entries=4)
            server.ask("CONFIG", "SET", "maxmemory", "1mb")
            for name in ("append", "put cards", "merge context", "reserve", "take"):
                with pytest.raises(Transient):
                    await CALLS[name](clients)
            assert await log.lag("projector", TOPIC) == 1
            await log.trim([TOPIC])
            server.ask("CONFIG", "SET", "maxmemory", "0")
            await log.append(TOPIC, [(1, b"after")])
        finally:
            await clients.close()


async def test_a_group_goes_on_after_the_log_was_lost(server: ValkeyServer, clients: ValkeyClients):
    log = StreamsEventLog(clients)
    await log.append(TOPIC, [(1, b"lost"), (2, b"lost")])
    assert len(await log.read(READER, max_entries=8)) == 2
    server.ask("FLUSHALL")
    assert await log.lag("projector", TOPIC) == 0
    assert await log.trim([TOPIC]) == 0
    await log.append(TOPIC, [(1, b"new")])
    assert [entry.payload for entry in await log.read(READER, max_entries=8)] == [b"new"]
    assert len(await log.claim(READER, idle_ms=0, max_entries=8)) == 1


async def test_a_waiting_reader_survives_the_loss_of_the_log(server: ValkeyServer, clients: ValkeyClients):
    log = StreamsEventLog(clients)
    assert await log.read(READER, max_entries=8) == []
    waiting = asyncio.create_task(log.read(READER, max_entries=8, block_ms=20_000))
    async with asyncio.timeout(10):
        while b"cmd=xreadgroup" not in server.ask("CLIENT", "LIST", "TYPE", "normal"):
            await asyncio.wait({waiting}, timeout=0.01)
    server.ask("FLUSHALL")
    await log.append(TOPIC, [(1, b"new")])
    async with asyncio.timeout(10):
        assert [entry.payload for entry in await waiting] == [b"new"]


async def _soon(call: Callable[[], Awaitable[object]]) -> None:
    """Make the call until it succeeds; a pool needs a try for each connection that was cut."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call()
            except Transient:
                continue
            return
