"""`clarion ledger verify`: exit 0 only where what was promised is there, agrees with itself, and nothing is overdue."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from clarion.adapters.postgres.ledger import PostgresLedger
from clarion.adapters.postgres.pools import open_pools
from clarion.delivery.ledger import LedgerReport
from clarion.entrypoints.cli.instance import borrowed_settings
from clarion.keys import role_urls

POLL_S: Final = 0.5
GRACE_S: Final = 90.0
"""A delivery may be due for this long before it counts as overdue: the sweeper needs a minute and a pass."""


class VerifyOptions(msgspec.Struct, frozen=True):
    """The command's options. `wait_s`: how long to wait for what is under way to end."""

    data: Path
    wait_s: float
    json: bool


def verify(options: VerifyOptions) -> int:
    """Compare, print the account, and say by the exit code whether it is sound and nothing is under way."""
    report = asyncio.run(_settle(options))
    passed = report.sound and (report.settled or not options.wait_s)
    if options.json:
        Console().print_json(data=_summary(report, passed=passed), indent=None)
    else:
        _print(report, passed=passed)
    return 0 if passed else 1


async def read_ledger(data: Path) -> dict[str, Any]:
    """The account as of now, as `--json` prints it."""
    report = await _settle(VerifyOptions(data, wait_s=0.0, json=True))
    return _summary(report, passed=report.sound)


def _summary(report: LedgerReport, *, passed: bool) -> dict[str, Any]:
    return {
        "ok": passed,
        "statuses": report.statuses,
        "open": report.open.open,
        "waiting": report.open.waiting,
        "overdue": report.open.overdue,
        "sending": report.open.sending,
        "promised": sum(b.promised for b in report.balances),
        "kept": sum(b.kept for b in report.balances),
        "problems": report.problems,
    }


async def _settle(options: VerifyOptions) -> LedgerReport:
    async with borrowed_settings(options.data) as settings:
        pools = await open_pools(role_urls(settings), size=2, name="clarion-ledger")
        try:
            ledger = PostgresLedger(pools)
            deadline = time.monotonic() + options.wait_s
            while True:
                report = await ledger.report(GRACE_S)
                if report.settled or time.monotonic() >= deadline:
                    return report
                await asyncio.sleep(POLL_S)
        finally:
            await pools.close()


def _print(report: LedgerReport, *, passed: bool) -> None:
    console = Console()
    table = Table(title="Ledger", title_justify="left")
    table.add_column("UTC day")
    table.add_column("tenant")
    table.add_column("promised", justify="right")
    table.add_column("kept", justify="right")
    table.add_column("")
    for balance in report.balances:
        mark = "[green]equal" if balance.balanced else "[red]NOT EQUAL"
        table.add_row(
            str(balance.day), balance.tenant_id.hex()[:12], f"{balance.promised:,}", f"{balance.kept:,}", mark
        )
    console.print(table)
    counts = ", ".join(f"{count:,} {status}" for status, count in report.statuses.items()) or "no deliveries"
    console.print(
        f"{counts}; open {report.open.open:,} "
        f"({report.open.waiting:,} wait for their time, {report.open.sending:,} are being sent)"
    )
    for problem in report.problems:
        console.print(f"[red]✗[/red] {problem}", highlight=False)
    if not report.settled:
        console.print(f"[yellow]{report.open.under_way:,} deliveries are still under way")
    console.print("[green]✓ every promise is accounted for" if passed else "[red]✗ the ledger does not hold")
