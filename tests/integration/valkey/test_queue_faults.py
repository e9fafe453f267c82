"""The queue on a Valkey that dies, hangs, forgets, or is full; and what it leaves in the server."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.adapters.valkey.queue import ENQUEUE_TIMEOUT_S, ValkeyQueue
from clarion.contracts.channels import CHANNELS
from clarion.contracts.work import ENTRY_BYTES, WorkItem
from clarion.kernel.errors import Transient
from clarion.kernel.ids import make_ids, split_ids
from clarion.testing.valkey_servers import ValkeyServer, valkey_cluster

REGION = "eu-west-1"
TENANT = bytes(range(16))


def work(count: int, priority: int = 5, channel: str = "email", due_ms: int = 0) -> list[WorkItem]:
    ids = split_ids(make_ids(count, 1_800_000_000_000))
    return [WorkItem(ident, TENANT, channel, priority, due_ms) for ident in ids]


@pytest.fixture
def queue(clients: ValkeyClients) -> ValkeyQueue:
    return ValkeyQueue(clients, REGION)


async def test_a_killed_valkey_has_lost_nothing_when_it_is_back(
    queue: ValkeyQueue, server: ValkeyServer
) -> None:
    items = work(1000)
    await queue.enqueue(items)
    held = await queue.claim("email", 100, lease_ms=60_000)
    server.kill()
    with pytest.raises(Transient):
        await queue.enqueue(work(1))
    with pytest.raises(Transient):
        await queue.claim("email", 10, lease_ms=60_000)
    with pytest.raises(Transient):
        await queue.wait("email", 2)

    server.start()
    await queue.ack(held)
    rest = [item for _ in range(2) for item in await queue.claim("email", 500, lease_ms=60_000)]
    assert [*held, *rest] == items
    assert (await queue.depths("email")).in_flight == 900


async def test_a_hung_valkey_holds_an_accept_for_half_a_second_at_most(
    queue: ValkeyQueue, server: ValkeyServer
) -> None:
    await queue.enqueue(work(1))
    server.send(signal.SIGSTOP)
    try:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Transient):
            await queue.enqueue([*work(3), *work(3, channel="sms"), *work(3, channel="push")])
        assert asyncio.get_running_loop().time() - began < ENQUEUE_TIMEOUT_S + 0.5
        await queue.wait("email", 0.05)  # ends, so a worker's loop can look at other things
    finally:
        server.send(signal.SIGCONT)
    assert await queue.claim("email", 1, lease_ms=60_000)


async def test_a_full_valkey_refuses_new_work_and_serves_the_rest(
    queue: ValkeyQueue, server: ValkeyServer
) -> None:
    items = work(1500)
    await queue.enqueue(items)
    server.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(Transient):
            await queue.enqueue(work(10, priority=6))
        claimed = await queue.claim("email", 1000, lease_ms=60_000)
        assert claimed == items[:1000]
        await queue.ack(claimed[:500])
        await queue.postpone(claimed[500:600])
        await queue.claim("email", 100, lease_ms=-1)
        assert await queue.reap("email", 1000) == 100
        assert len(await queue.claim("email", 1000, lease_ms=60_000)) == 600
    finally:
        server.ask("CONFIG", "SET", "maxmemory", 0)
    depths = await queue.depths("email")
    assert depths.in_flight == 1000
    assert sum(depths.queued) == 0, "what was refused has left no trace"


async def test_the_structures_are_the_specified_ones(
    queue: ValkeyQueue, clients: ValkeyClients, server: ValkeyServer
) -> None:
    later = await clients.server_time_ms() + 60_000
    await queue.enqueue([*work(600, priority=3), *work(2, due_ms=later)])
    await queue.claim("email", 1, lease_ms=60_000)

    tag = f"{{{REGION}:email:0}}"
    assert server.ask("TYPE", f"queue:{tag}:3") == b"list"
    assert server.ask("TYPE", f"backlog:{tag}:3:{TENANT.hex()}") == b"list"
    assert (
        server.ask("ZRANGE", f"ml_send_queue:{tag}", 0, -1, "WITHSCORES")[1::2] == [str(later).encode()] * 2
    )
    entry, deadline = server.ask("ZRANGE", f"inflight:{tag}", 0, -1, "WITHSCORES")
    assert len(entry) == ENTRY_BYTES
    assert 0 <= float(deadline) - later < 60_000
    assert all(tag.encode() in key for key in server.ask("KEYS", "*")), (
        "one slot for all that a script touches"
    )


async def test_leases_and_due_times_are_by_the_servers_clock(
    queue: ValkeyQueue, server: ValkeyServer
) -> None:
    """No instant of this machine goes to the server, but what the caller asks for."""
    seconds, _ = server.ask("TIME")
    await queue.enqueue(work(1))
    await queue.claim("email", 1, lease_ms=5000)
    _, deadline = server.ask("ZRANGE", f"inflight:{{{REGION}:email:0}}", 0, -1, "WITHSCORES")
    assert int(seconds) * 1000 + 5000 <= float(deadline) < int(seconds) * 1000 + 5000 + 10_000


async def test_one_token_is_kept_however_much_comes(queue: ValkeyQueue, server: ValkeyServer) -> None:
    for _ in range(20):
        await queue.enqueue(work(3, priority=1))
    tag = f"{{{REGION}:email:0}}"
    assert server.ask("LLEN", f"wake:{tag}") == 1
    assert server.ask("LLEN", f"wake:{tag}:urgent") == 1


async def test_all_who_wait_are_woken_while_there_is_work(clients: ValkeyClients) -> None:
    """A worker that takes a part hands the token on."""
    await ValkeyQueue(clients, REGION).enqueue(work(40))

    async def worker() -> int:
        queue = ValkeyQueue(clients, REGION)
        await queue.wait("email", 2)
        return len(await queue.claim("email", 10, lease_ms=60_000))

    async with asyncio.timeout(1.5):
        assert await asyncio.gather(*(worker() for _ in range(4))) == [10] * 4


async def test_an_empty_queue_leaves_nothing_behind(queue: ValkeyQueue, server: ValkeyServer) -> None:
    """Keys of tenants come and go; what stays does not grow with them."""
    await queue.enqueue(work(3000))
    while claimed := await queue.claim("email", 500, lease_ms=60_000):
        await queue.ack(claimed)
    left = {re.sub(r":\{.*\}", "", key.decode()) for key in server.ask("KEYS", "*")}
    assert left <= {"backlog", "credit", "wake"}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[ValkeyServer]]:
    with valkey_cluster(tmp_path) as nodes:
        yield list(nodes)


async def test_a_cluster_node_that_is_down_takes_only_its_own_channels(nodes: list[ValkeyServer]) -> None:
    clients = await connect(nodes[0].url)
    queue = ValkeyQueue(clients, REGION)
    await queue.mark()
    owners = {channel: _owner(nodes, f"queue:{{{REGION}:{channel}:0}}") for channel in CHANNELS}
    dead = owners["email"]
    for channel in CHANNELS:
        await queue.enqueue(work(10, channel=channel))
    dead.kill()
    for channel, owner in owners.items():
        if owner is dead:
            with pytest.raises(Transient):
                await queue.claim(channel, 10, lease_ms=60_000)
        else:
            assert len(await queue.claim(channel, 10, lease_ms=60_000)) == 10

    dead.start()
    async with asyncio.timeout(30):
        while not (claimed := await _claim_or_nothing(queue)):
            pass
    assert len(claimed) == 10
    assert await queue.holds_marker()
    await clients.close()


def _owner(nodes: list[ValkeyServer], key: str) -> ValkeyServer:
    slot = int(nodes[0].ask("CLUSTER", "KEYSLOT", key))
    for first, last, (_, port, *_), *_ in nodes[0].ask("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return next(node for node in nodes if node.port == port)
    raise AssertionError(key)


async def _claim_or_nothing(queue: ValkeyQueue) -> list[WorkItem]:
    try:
        return await queue.claim("email", 10, lease_ms=60_000)
    except Transient:
        return []
