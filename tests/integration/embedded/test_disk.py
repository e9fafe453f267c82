"""Disks that are full, read-only or closed. They are mounted in a namespace of their own, so no real one suffers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.integration.embedded.support import PROGRAM, Launch, ask_valkey, execute

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
NEEDS_NAMESPACES = pytest.mark.skipif(
    not shutil.which(NAMESPACE[0])
    or subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode != 0,
    reason="user namespaces are forbidden here",
)


def mounted(options: str, folder: Path) -> tuple[str, ...]:
    """The command line of an instance on a file system of its own, mounted with these options."""
    script = 'mount -t tmpfs -o "$1" tmpfs "$2"; exec "$3" "$4" "$2" --no-roles'
    return (*NAMESPACE, "sh", "-ec", script, "sh", options, str(folder), sys.executable, str(PROGRAM))


def run(words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)


@NEEDS_NAMESPACES
@pytest.mark.parametrize("size", ["4k", "12m"], ids=["from the first file on", "while the cluster is made"])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, size: str):
    refused = run(mounted(f"size={size}", tmp_path))

    assert refused.returncode == 1, refused.stderr
    assert f"{tmp_path}: no space left on the disk; free some and start again" in refused.stdout


@NEEDS_NAMESPACES
def test_a_read_only_disk_is_told_in_one_line(tmp_path: Path):
    refused = run(mounted("ro", tmp_path))

    assert refused.returncode == 1, refused.stderr
    assert f"{tmp_path}: the file system is read-only; choose another folder with --data" in refused.stdout


def test_a_folder_that_may_not_be_written_is_told_in_one_line(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    words = [sys.executable, str(PROGRAM), str(closed / "data")]
    # Root may write everywhere; without its capabilities it may not.
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root cannot give up its capabilities without setpriv")
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *words]

    refused = run(tuple(words))

    assert refused.returncode == 1, refused.stderr
    assert f"{closed / 'data'}: permission denied; choose another folder with --data" in refused.stdout


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
            file.flush()


async def write_until_it_dies(url: str) -> None:
    """Fill the write-ahead log: PostgreSQL cannot go on without it, and ends."""
    await execute(
        url, "SELECT pg_logical_emit_message(true, 'test', repeat('x', 16000000)) FROM generate_series(1, 9)"
    )


@NEEDS_NAMESPACES
async def test_when_room_returns_the_stores_do_too_and_nothing_committed_is_lost(
    launch: Launch, tmp_path: Path
):
    instance = await launch(command=mounted("size=160m", tmp_path))
    serving = instance.told[-1]
    url = serving["postgres"]
    await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    ballast = Path(f"/proc/{serving['pid']}/root{tmp_path}/ballast")
    fill(ballast)

    with pytest.raises((asyncpg.PostgresError, OSError)):
        await write_until_it_dies(url)
    await instance.next("died", "postgres")
    ballast.unlink()  # noqa: ASYNC240
    await instance.next("restarted", "postgres")

    assert await execute(url, "SELECT answer FROM kept") == [(42,)]
    await execute(url, "INSERT INTO kept VALUES (43)")
    assert await ask_valkey(serving["valkey"], "SET", "key", "value") == "+OK"
    assert await instance.end() == 0
