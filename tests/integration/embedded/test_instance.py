"""An instance as a process: signals, sudden death, and the next start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from clarion.adapters.embedded import (
    AlreadyRunning,
    Claim,
    Credentials,
    DataDirectory,
    Ports,
)
from clarion.adapters.embedded.binaries import postgres_binary, valkey_binary
from clarion.adapters.embedded.privileges import launcher
from clarion.adapters.embedded.processes import ProcessIdentity, command_line, identify
from tests.integration.embedded.support import Launch, ask_valkey, execute, gone

CHILDREN = ("postgres", "valkey", "api", "worker")


def kill(process: ProcessIdentity, sign: signal.Signals = signal.SIGKILL) -> None:
    os.kill(process.pid, sign)


@pytest.mark.parametrize("loop", ["--asyncio", "--uvloop"])
async def test_sigterm_stops_all_in_order(launch: Launch, data: Path, loop: str):
    instance = await launch(data, loop)
    children = {name: instance.child(name) for name in CHILDREN}

    assert await instance.end() == 0

    stopped = [said["name"] for said in instance.told if said["event"] == "stopped"]
    assert stopped == ["api", "worker", "valkey", "postgres"]
    assert not any(identify(child.pid) == child for child in children.values())
    assert "database system is shut down" in (data / "logs" / "postgres.log").read_text()


async def test_each_child_shows_its_role_and_no_secret(launch: Launch, data: Path):
    instance = await launch(data)
    secrets = Credentials(DataDirectory.existing(data)).all().values()

    for name in CHILDREN:
        line = command_line(instance.child(name).pid)
        assert f"clarion-role={name}" in line
        assert not any(secret in line for secret in secrets)


async def test_a_second_start_finds_everything_as_it_was(launch: Launch, data: Path):
    first = await launch(data)
    serving = first.told[-1]
    await execute(serving["postgres"], "CREATE TABLE kept AS SELECT 42 AS answer")
    await ask_valkey(serving["valkey"], "SET", "kept", "42")
    await first.end()

    second = (await launch(data)).told[-1]

    assert (second["postgres"], second["valkey"]) == (serving["postgres"], serving["valkey"])
    assert await execute(second["postgres"], "SELECT answer FROM kept") == [(42,)]
    assert await ask_valkey(second["valkey"], "GET", "kept") == "42"


async def test_kill_9_takes_all_children_along_and_loses_nothing(launch: Launch, data: Path):
    first = await launch(data)
    serving = first.told[-1]
    await execute(serving["postgres"], "CREATE TABLE kept AS SELECT 42 AS answer")
    children = [first.child(name) for name in CHILDREN]

    await first.end(signal.SIGKILL)

    for child in children:
        await gone(child)
    second = await launch(data)
    assert await execute(second.told[-1]["postgres"], "SELECT answer FROM kept") == [(42,)]


async def test_the_next_start_does_not_wait_for_the_kernel(launch: Launch, data: Path):
    """Its children may still be ending when the next start is there; it ends them itself."""
    for _ in range(3):
        instance = await launch(data)
        await instance.end(signal.SIGKILL)

    assert await (await launch(data)).end() == 0


async def test_a_second_start_on_the_directory_is_refused(launch: Launch, data: Path):
    first = await launch(data)

    second = await launch(data, event="refused")

    assert second.told[-1]["detail"] == (
        f"Clarion already runs on {data} (pid {first.process.pid}); "
        "stop it first, or name another folder with --data"
    )
    assert await second.wait() == 1
    assert identify(first.process.pid)


async def test_removing_the_lock_file_does_not_let_a_second_one_in(launch: Launch, data: Path):
    first = await launch(data, "--no-roles")
    (data / "supervisor.lock").unlink()

    with pytest.raises(AlreadyRunning) as refused:
        async with Claim(DataDirectory.open(data)):
            pass

    assert refused.value.pid == first.process.pid


async def test_a_signal_during_the_start_stops_it(launch: Launch, data: Path):
    instance = await launch(data, event="started")

    assert await instance.end() == 0
    assert "serving" not in {said["event"] for said in instance.told}


async def test_postgres_killed_comes_back_with_what_was_committed(launch: Launch, data: Path):
    instance = await launch(data, "--no-roles")
    url = instance.told[-1]["postgres"]
    await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    kill(instance.child("postgres"))

    await instance.next("restarted", "postgres")
    assert await execute(url, "SELECT answer FROM kept") == [(42,)]


async def test_a_backend_that_still_computes_does_not_keep_postgres_down(launch: Launch, data: Path):
    """Backends of a killed postmaster hold its shared memory for as long as they compute: they are killed."""
    instance = await launch(data, "--no-roles")
    url = instance.told[-1]["postgres"]
    busy = await asyncpg.connect(url)
    backend = identify(await busy.fetchval("SELECT pg_backend_pid()"))
    assert backend is not None
    await busy.execute("CREATE PROCEDURE spin() LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END'")
    spinning = asyncio.create_task(busy.execute("CALL spin()"))
    async with asyncio.timeout(20):
        while (
            await execute(url, "SELECT FROM pg_stat_activity WHERE state = 'active' AND query ~ '^CALL'")
            == []
        ):
            continue

    kill(instance.child("postgres"))

    await instance.next("restarted", "postgres")
    assert identify(backend.pid) != backend
    assert await execute(url, "SELECT 1") == [(1,)]
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await spinning
    busy.terminate()


async def test_valkey_killed_comes_back_with_its_keys(launch: Launch, data: Path):
    instance = await launch(data, "--no-roles")
    url = instance.told[-1]["valkey"]
    await ask_valkey(url, "SET", "kept", "42")

    kill(instance.child("valkey"))

    await instance.next("restarted", "valkey")
    assert await ask_valkey(url, "GET", "kept") == "42"


async def test_a_role_killed_comes_back_and_nothing_else_moves(launch: Launch, data: Path):
    instance = await launch(data)
    others = [instance.child(name) for name in ("postgres", "valkey", "api")]

    kill(instance.child("worker"))

    await instance.next("restarted", "worker")
    assert [identify(other.pid) for other in others] == others


@pytest.fixture
def orphans(data: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Both servers at work in their folders, on the ports of the next start, told by nobody to end."""
    ports = Ports(DataDirectory.open(data))
    postgres = (
        *launcher().prefix,
        postgres_binary("postgres"),
        "-D",
        data / "pg",
        "-p",
        str(ports.choose("postgres")),
    )
    valkey = (valkey_binary(), "--dir", data / "valkey", "--port", str(ports.choose("valkey")))
    with contextlib.ExitStack() as ending:
        servers: list[subprocess.Popen[str]] = []
        for argv, serving in (
            (postgres, "ready to accept connections"),
            (valkey, "Ready to accept connections"),
        ):
            server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            servers.append(ending.enter_context(server))
            ending.callback(server.kill)
            assert server.stdout is not None
            assert any(serving in line for line in server.stdout), f"{argv} did not start"
        yield servers


async def test_servers_that_outlived_their_supervisor_are_replaced(
    launch: Launch, data: Path, orphans: list[subprocess.Popen[str]]
):
    instance = await launch(data, "--no-roles")

    assert [orphan.poll() for orphan in orphans] == [0, 0]
    assert await execute(instance.told[-1]["postgres"], "SELECT 1") == [(1,)]
    assert await ask_valkey(instance.told[-1]["valkey"], "PING") == "+PONG"
