"""`clarion audit`, and what operators do with `clarion tenant` and `clarion key`."""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from typer.testing import CliRunner, Result

from clarion.bootstrap import Worker
from clarion.entrypoints.cli.main import app
from clarion.testing.database import MASTER_KEY
from clarion.testing.stores import SharedStores
from tests.integration.workers.support import packed

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("api")]

Command = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
def command(stores: SharedStores) -> Command:
    """Runs `clarion WORDS…` beside the test's own loop."""
    settings = {
        "CLARION_POSTGRES_URL": stores.postgres_url,
        "CLARION_REDIS_URL": stores.valkey_url,
        "CLARION_MASTER_KEY": MASTER_KEY,
    }

    def run(*words: str) -> Any:
        return asyncio.to_thread(CliRunner().invoke, app, [*words], env=settings)

    return run


async def make(command: Command) -> tuple[str, bytes]:
    """A new tenant: its name and id."""
    name = f"shop-{os.urandom(6).hex()}"
    created = await command("tenant", "create", name)
    assert created.exit_code == 0, created.output
    return name, packed(created.stdout.split()[2])


async def test_what_an_operator_does_stands_in_the_tenants_log(command: Command):
    name, _ = await make(command)
    key = (await command("key", "create", "ci", "--tenant", name)).stdout.strip()
    await command("tenant", "quota", name, "--per-day", "5")
    lines = (await command("audit", "export", "--tenant", name)).stdout
    acts = [msgspec.json.decode(line) for line in lines.splitlines()]
    assert [act["operation"] for act in acts] == ["put_quota", "create_key", "create_tenant"]
    assert all(act["actor"].startswith("operator:") and act["outcome"] == "done" for act in acts)
    assert acts[0]["request"] == {"per_day": 5}
    assert key not in lines


async def test_the_log_is_exported_as_csv(command: Command, tmp_path: Path):
    name, _ = await make(command)
    out = tmp_path / "log.csv"
    assert (
        await command("audit", "export", "--tenant", name, "--format", "csv", "--out", str(out))
    ).exit_code == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))
    assert row["operation"] == "create_tenant"


async def test_verify_names_the_entry_that_was_tampered_with(command: Command, stores: SharedStores):
    name, tenant_id = await make(command)
    await command("tenant", "quota", name, "--per-day", "5")
    whole = await command("audit", "verify", "--tenant", name, "--json")
    assert whole.exit_code == 0, whole.output
    report = msgspec.json.decode(whole.stdout)["chains"][0]
    assert (report["chain"], report["rows"], report["problem"]) == ("audit", 4, "")

    connection = await asyncpg.connect(stores.postgres_url.rpartition("/")[0] + "/clarion")
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE audit_log SET actor = 'nobody' WHERE tenant_id = $1 AND number = 3", tenant_id.hex()
        )
    broken = await command("audit", "verify", "--tenant", name)
    assert broken.exit_code == 1
    assert "entry 3" in broken.stdout
    async with connection.transaction():  # for the others who verify all chains of this server
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM audit_log WHERE tenant_id = $1", tenant_id.hex())
    await connection.close()


async def test_a_tenant_is_deleted_from_the_command_line(command: Command, worker: Worker):
    name, tenant_id = await make(command)
    assert (await command("tenant", "delete", name, "--confirm", "another")).exit_code == 1
    async with (
        worker.region.pools.pipeline() as connection
    ):  # it was asked for long ago: there is nothing to wait for
        await connection.execute(
            "INSERT INTO tenant_deletions (tenant_id, name, asked_at) VALUES ($1, $2, now() - interval '1 hour')",
            tenant_id,
            name,
        )
    done = await command("tenant", "delete", name, "--confirm", name, "--reason", "they left")
    assert done.exit_code == 0, done.output
    assert name not in (await command("tenant", "list")).stdout
    again = await command("tenant", "create", name)
    assert again.exit_code == 0
    async with worker.region.pools.reader(tenant_id) as connection:
        rows = await connection.fetch("SELECT operation, reason, outcome FROM audit_log ORDER BY number")
    assert [tuple(row) for row in rows[-2:]] == [
        ("delete_tenant", "they left", "begun"),
        ("delete_tenant", "they left", "done"),
    ]
