"""Both stores together: borrowed by another command, shared by a test session, without their port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clarion.adapters.embedded import (
    Claim,
    DataDirectory,
    DirectoryUnusable,
    Ports,
    StoreOptions,
    Supervisor,
    borrow_stores,
    running_pid,
    start_stores,
)
from clarion.adapters.embedded.processes import identify
from tests.integration.embedded.support import Launch, ask_valkey, execute, gone

SHARING = """
import sys
from pathlib import Path
from clarion.testing.stores import shared_stores
with shared_stores(Path(sys.argv[1])) as stores:
    print(stores.postgres_url, stores.valkey_url, flush=True)
    sys.stdin.read()
"""


async def test_a_command_borrows_the_stores_of_a_running_instance(launch: Launch, data: Path):
    instance = await launch(data, "--no-roles")

    async with borrow_stores(data) as urls:
        assert (urls.postgres, urls.valkey) == (instance.told[-1]["postgres"], instance.told[-1]["valkey"])

    assert await execute(instance.told[-1]["postgres"], "SELECT 1") == [(1,)]


async def test_a_command_starts_the_stores_of_a_stopped_instance_for_a_while(data: Path):
    async with borrow_stores(data) as urls:
        assert await execute(urls.postgres or "", "SELECT 1") == [(1,)]
        assert await ask_valkey(urls.valkey or "", "PING") == "+PONG"

    assert running_pid(DataDirectory.existing(data)) is None


async def test_there_is_nothing_to_borrow_where_nothing_ever_ran(tmp_path: Path):
    with pytest.raises(DirectoryUnusable, match="is not a Clarion data directory"):
        async with borrow_stores(tmp_path):
            pass


async def test_stores_that_are_elsewhere_are_not_started(tmp_path: Path):
    directory = DataDirectory.open(tmp_path / "data")
    async with Claim(directory) as claim, Supervisor(claim) as supervisor:
        urls = await start_stores(supervisor, StoreOptions(postgres=None, valkey=None))

    assert (urls.postgres, urls.valkey) == (None, None)
    assert not directory.postgres.exists()


async def test_a_port_that_was_taken_since_the_last_start_is_replaced(data: Path):
    ports = Ports(DataDirectory.open(data))
    with socket.create_server(("127.0.0.1", ports.choose("postgres"))) as squatter:
        async with borrow_stores(data) as urls:
            assert f":{squatter.getsockname()[1]}/" not in (urls.postgres or "")
            assert await execute(urls.postgres or "", "SELECT 1") == [(1,)]


@pytest.fixture
def users() -> Iterator[ExitStack]:
    """Ends the processes that a test lets share stores."""
    with ExitStack() as stack:
        yield stack


def share(users: ExitStack, root: Path) -> tuple[subprocess.Popen[str], str]:
    words = [sys.executable, "-W", "error", "-c", SHARING, str(root)]
    user = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    users.enter_context(user)
    users.callback(user.kill)
    assert user.stdout is not None
    return user, user.stdout.readline().strip()


async def test_a_session_shares_stores_until_its_last_process_is_gone(users: ExitStack, tmp_path: Path):
    (first, urls), (second, same) = share(users, tmp_path), share(users, tmp_path)
    assert urls == same
    owner = identify(running_pid(DataDirectory(tmp_path / "stores")) or 0)
    assert owner is not None

    first.communicate()
    assert await execute(urls.split()[0], "SELECT 1") == [(1,)]
    second.kill()

    await gone(owner)
    assert not (tmp_path / "stores").exists()


async def test_a_session_whose_owner_was_killed_gets_new_stores(users: ExitStack, tmp_path: Path):
    _, urls = share(users, tmp_path)
    os.kill(running_pid(DataDirectory(tmp_path / "stores")) or 0, signal.SIGKILL)

    _, again = share(users, tmp_path)

    assert again.split()[1]
    assert await execute(again.split()[0], "SELECT 1") == [(1,)]
    assert urls.split()[0].split("@")[0] == again.split()[0].split("@")[0]
