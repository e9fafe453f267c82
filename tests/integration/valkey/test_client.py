"""The clients under faults: nothing is written twice, nothing waits for ever, errors are ours."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from clarion.adapters.valkey.client import ValkeyClients, call_script, connect, guarded, make_script
from clarion.kernel.errors import Permanent, Transient
from clarion.testing.valkey_servers import ValkeyServer

INCREMENT = make_script("return redis.call('INCR', KEYS[1])")


class ReplyThief:
    """A TCP proxy that hands every request on, and from `steal` on cuts the connection instead of the reply."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.steals = False
        self.stolen = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            while request := await reader.read(65536):
                up_writer.write(request)
                reply = await up_reader.read(65536)
                if self.steals:
                    self.stolen += 1
                    return
                writer.write(reply)
        finally:
            for each in (writer, up_writer):
                each.close()


@pytest.fixture
async def thief(server: ValkeyServer) -> AsyncIterator[tuple[ReplyThief, ValkeyClients]]:
    thief = ReplyThief(server.port)
    proxy = await asyncio.start_server(thief.serve, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    clients = await connect(f"redis://127.0.0.1:{port}/0")
    yield thief, clients
    await clients.close()
    proxy.close()
    await proxy.wait_closed()


async def test_a_write_whose_reply_is_lost_is_not_repeated(
    thief: tuple[ReplyThief, ValkeyClients], server: ValkeyServer
) -> None:
    proxy, clients = thief
    await call_script(clients.write, INCREMENT, ["n"], [])
    proxy.steals = True
    with pytest.raises(Transient):
        await call_script(clients.write, INCREMENT, ["n"], [])
    assert proxy.stolen == 1
    assert server.ask("GET", "n") == b"2"


async def test_a_read_whose_reply_is_lost_is_repeated(
    thief: tuple[ReplyThief, ValkeyClients], server: ValkeyServer
) -> None:
    proxy, clients = thief
    server.ask("SET", "n", 7)
    async with guarded():
        assert await clients.read.execute_command("GET", "n") == b"7"
    proxy.steals = True
    with pytest.raises(Transient):
        async with guarded():
            await clients.read.execute_command("GET", "n")
    assert proxy.stolen == 3, "once, and two retries"


async def test_a_hung_server_costs_what_the_caller_allows(
    clients: ValkeyClients, server: ValkeyServer
) -> None:
    await call_script(clients.write, INCREMENT, ["n"], [])
    server.send(signal.SIGSTOP)
    try:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Transient):
            await call_script(clients.write, INCREMENT, ["n"], [], timeout_s=0.1)
        assert asyncio.get_running_loop().time() - began < 1
    finally:
        server.send(signal.SIGCONT)
    assert await call_script(clients.write, INCREMENT, ["n"], []) >= 2


async def test_more_callers_than_connections_take_turns(clients: ValkeyClients) -> None:
    numbers = await asyncio.gather(*(call_script(clients.write, INCREMENT, ["n"], []) for _ in range(300)))
    assert sorted(numbers) == list(range(1, 301))


async def test_a_blocked_read_ends_when_it_is_served(clients: ValkeyClients) -> None:
    waiting = asyncio.ensure_future(clients.blocking.execute_command("BLPOP", "wake", 30))
    async with guarded():
        while not (await clients.read.execute_command("INFO", "clients"))["blocked_clients"]:
            pass
        await clients.write.execute_command("RPUSH", "wake", 1)
    assert await waiting == (b"wake", b"1")


async def test_scripts_survive_a_server_that_has_forgotten_them(
    clients: ValkeyClients, server: ValkeyServer
) -> None:
    await call_script(clients.write, INCREMENT, ["n"], [])
    server.ask("SCRIPT", "FLUSH")
    assert await call_script(clients.write, INCREMENT, ["n"], []) == 2


async def test_clients_outlive_a_restart_of_the_server(clients: ValkeyClients, server: ValkeyServer) -> None:
    before = await clients.server_time_ms()
    server.kill()
    with pytest.raises(Transient):
        await clients.server_time_ms()
    server.start()
    assert await clients.server_time_ms() >= before


async def test_what_the_server_refuses_is_permanent(clients: ValkeyClients) -> None:
    wrong = make_script("return redis.call('LPUSH', KEYS[1], 1)")
    await call_script(clients.write, INCREMENT, ["n"], [])
    with pytest.raises(Permanent, match="WRONGTYPE"):
        await call_script(clients.write, wrong, ["n"], [])


async def test_nobody_there_is_transient() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Transient):
            await connect(f"valkey://127.0.0.1:{taken.getsockname()[1]}")


async def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        await connect("http://127.0.0.1")
