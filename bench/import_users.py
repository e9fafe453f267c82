"""`import`: users/s of `clarion import users` from a CSV of a million, and the memory that it takes.

Each has an address, a number, a zone and four attributes: a name, a plan, a count, a flag. The baseline copies rows of
`user_profiles` as they came out of the import into a table of the same shape (columns, keys, indexes), on one
connection: what the store would take if nobody had to read, check, seal or index anything.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import Result, finish, run_in_process, say
from clarion.testing.instance import Instance, clarion_up

BAR: Final = 20_000
USERS: Final = 1_000_000
FEW: Final = 100_000
GROWTH_MB: Final = 32.0
"""How much more memory ten times as many users may take: what the caches of keys still had to grow."""

COPIED: Final = 100_000
COPY_BATCH: Final = 1_000
ZONES: Final = ("Europe/Paris", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Kolkata")


class Ran(msgspec.Struct, frozen=True):
    """One command: the seconds that it took, start included, its highest resident set, and what it printed."""

    seconds: float
    peak_mb: float
    said: Any


def run() -> Result:
    """Import FEW and then USERS others, export them, and copy some of their rows."""
    with clarion_up() as instance, tempfile.TemporaryDirectory(prefix="clarion-bench-") as folder:
        few, many, out = (Path(folder) / name for name in ("few.csv", "many.csv", "out.ndjson"))
        _write(few, range(FEW))
        _write(many, range(FEW, FEW + USERS))
        small = _clarion(instance, "import", "users", few, "--json")
        say(f"{FEW:,} users: {small.said['seconds']:.1f} s, {small.peak_mb:.0f} MB at most")
        large = _clarion(instance, "import", "users", many, "--json")
        rate = USERS / large.said["seconds"]
        say(f"{USERS:,} users: {rate:,.0f}/s, {large.peak_mb:.0f} MB at most")
        again = _clarion(instance, "import", "users", few, "--json")
        exported = _clarion(instance, "export", "users", out)
        baseline = run_in_process(_copy, instance)
        say(f"raw COPY of such rows: {baseline:,.0f}/s")
    complete = large.said["created"] == USERS and again.said["unchanged"] == FEW
    is_flat = large.peak_mb - small.peak_mb <= GROWTH_MB
    return finish(
        Result(
            "import",
            round(rate),
            "users/s",
            f"≥ {BAR:,} users/s; {USERS // FEW} times the users in at most {GROWTH_MB:.0f} MB more",
            rate >= BAR and is_flat and complete,
            baseline=round(baseline),
            ratio=round(rate / baseline, 3),
            detail={
                "users": USERS,
                "peak_mb": round(large.peak_mb, 1),
                "peak_mb_of_a_tenth": round(small.peak_mb, 1),
                "unchanged_per_s": round(FEW / again.said["seconds"]),
                "exported_per_s": round((FEW + USERS) / exported.seconds),
                "export_peak_mb": round(exported.peak_mb, 1),
            },
        )
    )


def _write(path: Path, numbers: range) -> None:
    with path.open("w") as file:
        file.write("user_id,email,phone,timezone,language,country,first_name,plan,orders,vip\n")
        for i in numbers:
            plan, vip = ("pro" if i % 3 else "free"), ("false" if i % 7 else "true")
            file.write(
                f"user-{i},user{i}@example.org,+49170{i:07d},{ZONES[i % 5]},de,DE,Ann{i % 997},{plan},{i % 50},{vip}\n"
            )


def _clarion(instance: Instance, *words: str | Path) -> Ran:
    began = time.perf_counter()
    command = [sys.executable, "-m", "clarion.entrypoints.cli.main", *words, "--data", instance.data]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            msg = f"{command} ended with {process.returncode}"
            raise RuntimeError(msg)
        output.seek(0)
        said = output.read()
    seconds = time.perf_counter() - began
    return Ran(seconds, usage.ru_maxrss / 1024, msgspec.json.decode(said) if said else None)


def _copy(instance: Instance) -> float:
    return asyncio.run(_copy_rows(instance))


async def _copy_rows(instance: Instance) -> float:
    connection = await asyncpg.connect(instance.owner_url)
    try:
        await connection.execute("CREATE TABLE bench_users (LIKE user_profiles INCLUDING ALL)")
        chunks: list[bytes] = []
        for offset in range(0, COPIED, COPY_BATCH):
            buffer = io.BytesIO()
            query = "SELECT * FROM user_profiles ORDER BY user_id OFFSET $1 LIMIT $2"
            await connection.copy_from_query(query, offset, COPY_BATCH, output=buffer, format="binary")
            chunks.append(buffer.getvalue())
        began = time.perf_counter()
        for chunk in chunks:
            await connection.copy_to_table("bench_users", source=_once(chunk), format="binary")
        seconds = time.perf_counter() - began
        await connection.execute("DROP TABLE bench_users")
    finally:
        await connection.close()
    return COPIED / seconds


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk
