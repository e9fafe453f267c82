from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from clarion.adapters.embedded import (
    Claim,
    DataDirectory,
    DirectoryUnusable,
    PostgresOptions,
    StoreOptions,
    Supervisor,
    borrow_stores,
    start_stores,
)
from clarion.adapters.embedded.ports import Ports
from clarion.adapters.embedded.postgres import postgres_child, postgres_url
from clarion.adapters.embedded.privileges import as_nobody
from clarion.adapters.embedded.processes import ProcessIdentity, identify
from tests.integration.embedded.support import execute

ONLY_POSTGRES = StoreOptions(valkey=None)


@pytest.fixture
async def supervisor(data: Path) -> AsyncGenerator[Supervisor]:
    async with Claim(DataDirectory.open(data)) as claim, Supervisor(claim) as supervisor:
        yield supervisor


async def started(supervisor: Supervisor, options: StoreOptions = ONLY_POSTGRES) -> str:
    urls = await start_stores(supervisor, options)
    assert urls.postgres is not None
    return urls.postgres


async def shown(url: str, names: Iterable[str]) -> dict[str, object]:
    """The settings in force, as SHOW prints them."""
    return {name: (await execute(url, f"SHOW {name}"))[0][0] for name in names}


async def test_the_settings_that_promises_stand_on_are_in_force(supervisor: Supervisor):
    url = await started(supervisor)
    promised = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "jit": "off",
    }

    assert await shown(url, promised) == promised
    assert await execute(url, "SELECT * FROM pg_file_settings WHERE error IS NOT NULL") == []


async def test_options_are_written_and_local_settings_win_over_them(supervisor: Supervisor, data: Path):
    (data / "pg" / "local.conf").write_text("work_mem = '3MB'\nmax_connections = 33\n")
    options = PostgresOptions(shared_buffers_mb=32, max_connections=44, settings={"cluster_name": "it's"})

    url = await started(supervisor, replace(ONLY_POSTGRES, postgres=options))

    expected = {"shared_buffers": "32MB", "max_connections": "33", "work_mem": "3MB", "cluster_name": "it's"}
    assert await shown(url, expected) == expected


async def test_nobody_comes_in_without_the_password(supervisor: Supervisor):
    url = await started(supervisor)

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url, password="guess")


async def test_its_log_keeps_values_to_itself(supervisor: Supervisor, data: Path):
    url = await started(supervisor)
    await execute(url, "CREATE TABLE users (email text PRIMARY KEY)")
    statement = "INSERT INTO users VALUES ('ann@example.com')"
    await execute(url, statement)
    with pytest.raises(asyncpg.UniqueViolationError):
        await execute(url, statement)

    log = (data / "logs" / "postgres.log").read_text()

    assert "duplicate key value violates unique constraint" in log
    assert "ann@example.com" not in log


async def test_a_lost_password_is_replaced_and_the_data_stays(data: Path):
    async with borrow_stores(data) as urls:
        assert urls.postgres is not None
        await execute(urls.postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
        old = urls.postgres
    DataDirectory.existing(data).credentials.unlink()

    async with borrow_stores(data) as urls:
        assert urls.postgres not in {None, old}
        assert await execute(urls.postgres or "", "SELECT answer FROM kept") == [(42,)]


@pytest.fixture
def stranger() -> Iterator[ProcessIdentity]:
    """A process that has nothing to do with us."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        identity = identify(process.pid)
        assert identity is not None
        yield identity
        process.kill()


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(
    supervisor: Supervisor, data: Path, stranger: ProcessIdentity
):
    (data / "pg" / "postmaster.pid").write_text(f"{stranger.pid}\n{data / 'pg'}\n1\n5432\n\n127.0.0.1\n")

    assert await execute(await started(supervisor), "SELECT 1") == [(1,)]

    assert identify(stranger.pid) == stranger


async def test_a_start_that_was_killed_while_making_the_cluster_is_made_good(
    supervisor: Supervisor, data: Path
):
    half = data / "pg.new-x1y2z3"
    half.mkdir()
    (data / "pg").rename(half / "data")
    (half / "data" / "PG_VERSION").write_text("18\n")

    assert await execute(await started(supervisor), "SELECT 1") == [(1,)]

    assert not half.exists()
    assert (data / "pg" / "PG_VERSION").exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to another user")
async def test_where_namespaces_are_forbidden_it_runs_as_nobody(open_folder: Path):
    directory = DataDirectory.open(open_folder / "data")
    async with Claim(directory) as claim, Supervisor(claim) as supervisor:
        port = Ports(directory).choose("postgres")
        try:
            spec = await postgres_child(claim, port, PostgresOptions(), as_nobody())
        except DirectoryUnusable as closed:
            pytest.skip(closed.detail)
        await supervisor.start(spec)

        assert await execute(postgres_url(directory, port), "SELECT 1") == [(1,)]
        assert directory.postgres.stat().st_uid == as_nobody().user

    # Back where they are allowed: the files are root's again.
    async with borrow_stores(directory.root) as urls:
        assert await execute(urls.postgres or "", "SELECT 1") == [(1,)]
        assert directory.postgres.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() == as_nobody().user, reason="nobody may enter what is his")
async def test_nobody_is_told_which_folder_is_closed(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(DirectoryUnusable, match="cannot be entered by the user nobody"):
        as_nobody().reach(Path("/bin/true"), DataDirectory.open(closed / "data").root)
