"""Acts of an instance's operator at the command line: they stand in the tenant's audit log as those over the API do."""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import typer

from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.adapters.postgres.pools import Pools
from clarion.compliance.audit import Act, Ending, recorded


@asynccontextmanager
async def as_operator(
    pools: Pools,
    tenant_id: bytes,
    what: tuple[str, str],
    *,
    facts: Mapping[str, object] | None = None,
    reason: str = "",
) -> AsyncGenerator[Ending]:
    """Do the block as an act of the operator; `what`: its name, and on what. Raises Transient where it cannot begin."""
    operation, target = what
    act = Act(
        actor=operator_name(),
        operation=operation,
        target=target,
        reason=reason,
        facts={"request": facts or {}},
    )
    async with recorded(PostgresAuditLog(pools), tenant_id, act, _lost) as ending:
        yield ending


def operator_name() -> str:
    """The operator by the account of the machine."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"operator:{os.getuid()}"


def _lost(error: Exception) -> None:
    typer.echo(f"it is done, but its end is not in the audit log: {error}", err=True)
