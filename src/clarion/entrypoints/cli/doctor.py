"""`clarion doctor` and `clarion migrate`: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from clarion.adapters.globaldb.store import apply_schema
from clarion.adapters.postgres.ledger import PostgresLedger
from clarion.adapters.postgres.migrate import migrate
from clarion.adapters.postgres.outbox import PostgresOutbox
from clarion.adapters.postgres.parking import PostgresParking
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.bootstrap import Region, open_region
from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.cli.instance import borrowed_settings
from clarion.kernel.errors import ClarionError, Invalid
from clarion.keys import global_urls_of, master_key_of, role_passwords
from clarion.settings import Settings

LEAST_DISK: Final = 1 << 30
MOST_DRIFT_S: Final = 5.0
MOST_OUTBOX_AGE_S: Final = 30.0
GRACE_S: Final = 90.0


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `advice` says how to mend it where it is not `ok`."""

    what: str
    ok: bool
    seen: str
    advice: str = ""


def run_migrate(data: Path) -> int:
    """Bring the schema up to date and say what was done."""

    async def run() -> None:
        async with borrowed_settings(data) as settings:
            if settings.postgres_url is None:
                raise Invalid("CLARION_POSTGRES_URL is not set", "postgres_url")
            passwords = role_passwords(master_key_of(settings))
            report = await migrate(settings.postgres_url.get_secret_value(), passwords)
            await apply_schema(global_urls_of(settings)[0])
        done = ", ".join(report.applied) or "nothing to do"
        Console().print(f"schema at {report.revision}: {done}")

    asyncio.run(run())
    return 0


def run_doctor(data: Path) -> int:
    """Print a table of findings; exit code 0 where all is well."""
    findings = asyncio.run(_collect(data))
    table = Table("", "what", "seen", "what to do", title="Clarion doctor", title_justify="left")
    for finding in findings:
        mark = "[green]ok" if finding.ok else "[red]✗"
        table.add_row(mark, finding.what, finding.seen, "" if finding.ok else finding.advice)
    Console().print(table)
    return 0 if all(finding.ok for finding in findings) else 1


async def _collect(data: Path) -> list[Finding]:
    findings = _look_at_machine(data)
    try:
        async with borrowed_settings(data) as settings:
            findings += [finding async for finding in _look_at_region(settings)]
    except ClarionError as error:
        findings.append(
            Finding("instance", ok=False, seen=error.detail, advice=f"start it: clarion up --data {data}")
        )
    return findings


def _look_at_machine(data: Path) -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    free = shutil.disk_usage(data if data.exists() else Path()).free
    return [
        Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer"),
        Finding(
            "disk", free > LEAST_DISK, f"{free >> 20:,} MiB free", "make room: Postgres stops at a full disk"
        ),
    ]


async def _look_at_region(settings: Settings) -> AsyncGenerator[Finding]:
    async with open_region(settings, "doctor") as region:
        yield Finding("stores", ok=True, seen="Postgres and Valkey answer, the master key fits")
        for look in (
            _look_at_clock,
            _look_at_queue,
            _look_at_outbox,
            _look_at_journeys,
            _look_aside,
            _look_at_ledger,
        ):
            yield await look(region)


async def _look_at_clock(region: Region) -> Finding:
    drift_s = region.clock.drift_ms() / 1000
    advice = "run a time service; sends go by the store's clock and are not affected"
    return Finding("clock", abs(drift_s) < MOST_DRIFT_S, f"{drift_s:+.3f} s against Postgres", advice)


async def _look_at_queue(region: Region) -> Finding:
    depths = [await region.queue.depths(channel) for channel in CHANNELS]
    waiting = sum(sum(depth.queued) + sum(depth.backlog) for depth in depths)
    oldest_s = max(depth.overdue_ms for depth in depths) / 1000
    advice = "is a worker running? more workers share the work"
    return Finding(
        "queue", oldest_s < GRACE_S, f"{waiting:,} waiting, oldest overdue {oldest_s:.0f} s", advice
    )


async def _look_at_outbox(region: Region) -> Finding:
    events, age_s = await PostgresOutbox(region.pools).backlog()
    advice = "is a worker with the events role running?"
    return Finding("outbox", age_s < MOST_OUTBOX_AGE_S, f"{events:,} events, oldest {age_s:.0f} s", advice)


async def _look_at_journeys(region: Region) -> Finding:
    lag_ms = await ValkeyContinuations(region.valkey, region.settings.region).lag_ms(region.clock.now_ms())
    advice = "is a worker with the journeys role running? more of them share the work"
    late_s = lag_ms / 1000
    return Finding("journeys", late_s < GRACE_S, f"the latest run has been due for {late_s:.0f} s", advice)


async def _look_aside(region: Region) -> Finding:
    letters, _ = await region.letters.backlog()
    parked = sum((await PostgresParking(region.pools).count()).values())
    advice = "clarion dlq list shows them, with the last error"
    return Finding(
        "dead letters", not letters + parked, f"{letters:,} dead letters, {parked:,} parked messages", advice
    )


async def _look_at_ledger(region: Region) -> Finding:
    report = await PostgresLedger(region.pools).report(GRACE_S)
    seen = "every promise accounted for" if report.sound else report.problems[0]
    return Finding("ledger", report.sound, seen, "run clarion ledger verify for the whole account")
