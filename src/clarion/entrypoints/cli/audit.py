"""`clarion audit`: the chains verified, and the log taken away."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from rich.console import Console

from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.adapters.postgres.consent import PostgresConsentStore
from clarion.adapters.postgres.pools import Pools, open_pools
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.compliance.audit import CHAIN, AuditQuery, verify_audit_chain
from clarion.compliance.chain import Verdict
from clarion.compliance.ledger import CHAIN as CONSENT_CHAIN
from clarion.compliance.ledger import verify_consent_chain
from clarion.entrypoints.api.audit import AuditAct, to_csv, view_of
from clarion.entrypoints.api.replies import encode_json
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.kernel.ids import format_id
from clarion.keys import role_urls, vault_of
from clarion.settings import Settings

Verifier: TypeAlias = Callable[[bytes], Awaitable[Verdict]]
"""Verifies one chain of a tenant."""

EXPORTED: Final = 1000
"""Acts that are read at a time."""


class VerifyOptions(msgspec.Struct, frozen=True):
    """Whose chains; None: everybody's, and of those who are gone."""

    data: Path
    tenant: str | None
    json: bool


class ExportOptions(msgspec.Struct, frozen=True):
    """Whose log, as `ndjson` or `csv`, and where it goes (None: standard output)."""

    data: Path
    tenant: str
    format: str
    out: Path | None


class ChainReport(msgspec.Struct, frozen=True):
    """What a chain was found to be: up to which entry, with which hash, and what is wrong where ("": nothing)."""

    tenant_id: str
    chain: str
    rows: int
    number: int
    hash: str
    problem: str


def run_verify(options: VerifyOptions) -> int:
    """Verify and report; the exit code. Raises NotFound on an unknown tenant."""
    reports = asyncio.run(_verify(options))
    is_whole = not any(report.problem for report in reports)
    if options.json:
        print(encode_json({"whole": is_whole, "chains": reports}).decode())  # noqa: T201  for programs
    else:
        console = Console()
        for report in reports:
            _print(console, report)
        console.print("[green]✓ every entry is as it was written" if is_whole else "[red]✗ a chain is broken")
    return 0 if is_whole else 1


def _print(console: Console, report: ChainReport) -> None:
    mark = "[red]✗[/red]" if report.problem else "[green]✓[/green]"
    told = report.problem or f"{report.rows:,} entries, the last is number {report.number} with {report.hash}"
    console.print(f"{mark} {report.tenant_id} {report.chain}: {told}", highlight=False, soft_wrap=True)


async def _verify(options: VerifyOptions) -> list[ChainReport]:
    async with _opened(options.data) as (settings, pools):
        log, now_ms = PostgresAuditLog(pools), await pools.now_ms()
        ledger = PostgresConsentStore(pools)
        chains: dict[str, Verifier] = {
            CHAIN: lambda tenant: verify_audit_chain(log, tenant, now_ms),
            CONSENT_CHAIN: lambda tenant: verify_consent_chain(ledger, tenant),
        }
        name = options.tenant
        wanted = await log.tenants() if name is None else [await _find(settings, pools, name)]
        return [
            _report(tenant, chain, await verify(tenant))
            for tenant in wanted
            for chain, verify in chains.items()
        ]


def _report(tenant_id: bytes, chain: str, verdict: Verdict) -> ChainReport:
    broken = verdict.broken
    problem = f"entry {broken.number} {broken.problem}" if broken else ""
    return ChainReport(format_id(tenant_id), chain, verdict.rows, verdict.number, verdict.hash.hex(), problem)


def run_export(options: ExportOptions) -> int:
    """Write the log; 0. Raises NotFound on an unknown tenant."""
    acts = asyncio.run(_read(options))
    text = (
        to_csv(acts) if options.format == "csv" else "".join(encode_json(act).decode() + "\n" for act in acts)
    )
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")
    return 0


async def _read(options: ExportOptions) -> list[AuditAct]:
    acts: list[AuditAct] = []
    async with _opened(options.data) as (settings, pools):
        log, tenant_id = PostgresAuditLog(pools), await _find(settings, pools, options.tenant)
        query = AuditQuery(limit=EXPORTED)
        while page := await log.search(tenant_id, query):
            acts += map(view_of, page)
            query = msgspec.structs.replace(query, before=page[-1].number)
    return acts


@asynccontextmanager
async def _opened(data: Path) -> AsyncGenerator[tuple[Settings, Pools]]:
    async with borrowed_settings(data) as settings:
        pools = await open_pools(role_urls(settings), size=2, name="clarion-audit")
        try:
            yield settings, pools
        finally:
            await pools.close()


async def _find(settings: Settings, pools: Pools, name: str) -> bytes:
    return await find_tenant(
        PostgresTenants(pools, vault_of(settings, pools, time.monotonic)), settings.region, name
    )
