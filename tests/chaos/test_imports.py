"""An import that dies by `kill -9` in the middle, and the same command again."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from clarion.entrypoints.cli.checkpoint import Checkpoint, checkpoint_of
from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.support import Person, fetch, run_clarion

N: Final = 60_000
BAD_EVERY: Final = 1_000
"""Among the users every so-manieth line has no address that is one."""

TWICE: Final = 100
"""Users whom the file's end has once more, with another plan."""

pytestmark = pytest.mark.chaos


def make_file(path: Path) -> int:
    """Write the file; its size."""
    rows = [f"user-{i},user{i}@example.org,{'pro' if i % 3 else 'free'}" for i in range(N)]
    rows += [f"user-{i},user{i}@example.org,gold" for i in range(TWICE)]
    for i in range(BAD_EVERY - 1, N, BAD_EVERY):
        rows[i] = f"user-{i},no address,free"
    return path.write_text("user_id,email,plan\n" + "\n".join(rows) + "\n")


def reached(checkpoint: Path) -> int:
    """How many bytes of its file an import has behind it."""
    if not checkpoint.exists():
        return 0
    return msgspec.json.decode(checkpoint.read_bytes(), type=Checkpoint).position.offset


async def killed_behind(offset: float, checkpoint: Path, *words: str | Path) -> None:
    """Run `clarion WORDS…` and kill it once its checkpoint says that so many bytes of the file are done."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clarion.entrypoints.cli.main"), *words, stderr=asyncio.subprocess.DEVNULL
    )

    async def is_there() -> bool:
        assert process.returncode is None, "it was over before it could be killed"
        return reached(checkpoint) >= offset

    await eventually(is_there, within_s=60, every_s=0.01)
    process.kill()
    await process.wait()


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_an_import_killed_at_forty_per_cent_and_resumed_has_every_user_once(
    live: Live, person: Person, tmp_path: Path, processes: str
):
    file, rejects = tmp_path / "users.csv", tmp_path / "rejects"
    size = await asyncio.to_thread(make_file, file)
    data = ("--data", live.instance.data, "--tenant", person.name, "--rejects", rejects)
    command = ("import", "users", file, *data, "--processes", processes)

    await killed_behind(0.4 * size, checkpoint_of(rejects), *command)
    resumed = await run_clarion(*command, "--json")

    assert resumed.code == 0, resumed.stderr
    done = msgspec.json.decode(resumed.stdout)
    bad = N // BAD_EVERY
    assert done["resumed_at"] >= 0.4 * N
    assert done["created"] + done["updated"] + done["unchanged"] == N - bad + TWICE
    assert done["rejected"] == bad
    told = [msgspec.json.decode(line)["line"] for line in rejects.read_bytes().splitlines()]
    assert told == [i + 2 for i in range(BAD_EVERY - 1, N, BAD_EVERY)]

    tenant_id = person.tenant_id
    ((users, distinct),) = await fetch(
        live.instance,
        "SELECT count(*), count(DISTINCT external_id) FROM user_profiles WHERE tenant_id = $1",
        tenant_id,
    )
    assert (users, distinct) == (N - bad, N - bad), "every user once"
    ((written_twice,),) = await fetch(
        live.instance,
        "SELECT count(*) FROM user_profiles WHERE tenant_id = $1 AND version > 1",
        tenant_id,
    )
    assert written_twice == TWICE, (
        "nobody was written again by the second run, but for those whom the file has twice"
    )
    for name in ("user-0", f"user-{TWICE - 1}"):
        assert (await person.get(f"GET /users/{name}"))["attributes"] == {"plan": "gold"}
    assert not checkpoint_of(rejects).exists()
