from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from clarion.adapters.embedded import (
    Claim,
    DataDirectory,
    EventKind,
    StoreOptions,
    Supervisor,
    ValkeyOptions,
    start_stores,
)
from clarion.adapters.embedded.valkey import set_damage_aside
from clarion.testing.supervision import EventLog
from tests.integration.embedded.support import ask_valkey

KEYS = 200


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.open(tmp_path / "data")


@pytest.fixture
def log() -> EventLog:
    return EventLog()


@pytest.fixture
async def supervisor(directory: DataDirectory, log: EventLog) -> AsyncGenerator[Supervisor]:
    async with Claim(directory) as claim, Supervisor(claim, log) as supervisor:
        yield supervisor


async def started(supervisor: Supervisor, options: ValkeyOptions | None = None) -> str:
    urls = await start_stores(supervisor, StoreOptions(postgres=None, valkey=options or ValkeyOptions()))
    assert urls.postgres is None
    assert urls.valkey is not None
    return urls.valkey


@pytest.fixture
async def written(directory: DataDirectory) -> Path:
    """The folder of the append-only file of a server that has stored some keys and was stopped."""
    async with Claim(directory) as claim, Supervisor(claim) as supervisor:
        url = await started(supervisor)
        async with asyncio.TaskGroup() as group:
            for number in range(KEYS):
                group.create_task(ask_valkey(url, "SET", f"key-{number}", "x" * 20))
    return directory.valkey / "appendonlydir"


def damage_a_command(folder: Path) -> None:
    path = folder / "appendonly.aof.1.incr.aof"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(content)


def damage_the_base(folder: Path) -> None:
    path = folder / "appendonly.aof.1.base.rdb"
    path.write_bytes(path.read_bytes()[:40])


def damage_the_list_of_files(folder: Path) -> None:
    (folder / "appendonly.aof.manifest").write_text("garbage\n")


def lose_a_file(folder: Path) -> None:
    (folder / "appendonly.aof.1.incr.aof").unlink()


@pytest.mark.parametrize("damage", [damage_a_command, damage_the_base, damage_the_list_of_files, lose_a_file])
async def test_a_damaged_file_is_set_aside_and_the_server_starts_empty(
    written: Path, supervisor: Supervisor, log: EventLog, damage: Callable[[Path], None]
):
    damage(written)

    url = await started(supervisor)

    assert await ask_valkey(url, "DBSIZE") == ":0"
    [recovered] = log.of(EventKind.RECOVERED)
    aside = written.with_name("appendonlydir.damaged-1")
    assert recovered.detail == f"the append-only file is damaged: set aside as {aside}, starting empty"
    assert aside.is_dir()


async def test_a_tail_that_was_cut_off_costs_only_itself(
    written: Path, supervisor: Supervisor, log: EventLog
):
    path = written / "appendonly.aof.1.incr.aof"
    path.write_bytes(path.read_bytes()[:-7])

    url = await started(supervisor)

    assert await ask_valkey(url, "DBSIZE") == f":{KEYS - 1}"
    assert log.of(EventKind.RECOVERED) == []


async def test_a_start_that_fails_for_another_reason_keeps_the_file(written: Path):
    bad = (
        "Unable to open the append only file: Permission denied\nBad directive or wrong number of arguments\n"
    )

    assert await set_damage_aside(written.parent, bad) is None
    assert [path.name for path in written.parent.glob("appendonlydir*")] == ["appendonlydir"]


async def test_it_forgets_nothing_and_evicts_nothing(supervisor: Supervisor):
    url = await started(supervisor)

    for setting, value in {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }.items():
        assert await ask_valkey(url, "CONFIG", "GET", setting) == [setting, value]


async def test_nobody_comes_in_without_the_password(supervisor: Supervisor):
    url = await started(supervisor)

    with pytest.raises(ConnectionRefusedError, match="WRONGPASS"):
        await ask_valkey(url.replace("redis://:", "redis://:x"), "PING")
