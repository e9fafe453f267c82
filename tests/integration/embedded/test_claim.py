"""Who may run on a directory, and what the next one does with what the last one left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clarion.adapters.embedded import AlreadyRunning, Claim, DataDirectory, running_pid
from clarion.adapters.embedded.processes import boot_id, identify


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.open(tmp_path / "data")


@pytest.fixture
def leftover() -> Iterator[subprocess.Popen[bytes]]:
    """A worker whose supervisor is gone."""
    words = [sys.executable, "-X", "clarion-role=worker", "-c", "import signal; signal.pause()"]
    with subprocess.Popen(words) as process:
        yield process
        process.kill()


def recorded(directory: DataDirectory, process: subprocess.Popen[bytes], **differences: Any) -> None:
    """Write what a supervisor that was killed has left: itself, long dead, and this child."""
    identity = identify(process.pid)
    assert identity is not None
    with subprocess.Popen(["/bin/true"]) as dead:
        dead.wait()
    child = {"pid": identity.pid, "start_ticks": identity.start_ticks, "stop_signal": 15}
    name = differences.pop("name", "worker")
    boot = differences.pop("boot_id", boot_id())
    state = {"boot_id": boot, "pid": dead.pid, "start_ticks": 1, "children": {name: child | differences}}
    directory.supervisor.write_text(json.dumps(state))


async def test_a_child_of_a_killed_supervisor_is_ended(
    directory: DataDirectory, leftover: subprocess.Popen[bytes]
):
    recorded(directory, leftover)

    async with Claim(directory):
        assert leftover.poll() is not None


@pytest.mark.parametrize(
    "difference",
    [{"start_ticks": 1}, {"name": "api"}, {"boot_id": "another boot"}],
    ids=["it began at another time", "it has another role", "the machine was started anew"],
)
async def test_a_stranger_with_the_same_pid_is_left_alone(
    directory: DataDirectory, leftover: subprocess.Popen[bytes], difference: dict[str, Any]
):
    recorded(directory, leftover, **difference)

    async with Claim(directory):
        assert leftover.poll() is None


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "[]"])
async def test_a_damaged_file_keeps_nobody_from_starting(directory: DataDirectory, content: str):
    directory.supervisor.write_text(content)

    async with Claim(directory):
        assert running_pid(directory) == os.getpid()


async def test_only_one_holds_the_claim(directory: DataDirectory):
    async with Claim(directory):
        with pytest.raises(AlreadyRunning):
            await Claim(directory).take()

    async with Claim(directory):
        pass


async def test_a_store_folder_is_held_too(directory: DataDirectory, tmp_path: Path):
    other = DataDirectory.open(tmp_path / "other")
    async with Claim(directory) as first, Claim(other) as second:
        first.lock_folder(directory.logs)
        first.lock_folder(directory.logs)

        with pytest.raises(AlreadyRunning, match="another process uses"):
            second.lock_folder(directory.logs)


async def test_it_is_known_who_runs(directory: DataDirectory):
    assert running_pid(directory) is None
    async with Claim(directory):
        assert running_pid(directory) == os.getpid()
    assert running_pid(directory) is None
