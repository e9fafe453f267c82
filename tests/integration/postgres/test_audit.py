"""The audit log in Postgres: one role adds to it, nobody changes it, and what was changed is named."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.compliance.audit import Act, AuditQuery, recorded, verify_audit_chain
from clarion.kernel.errors import Refused, Transient
from clarion.testing.database import PreparedDatabases
from tests.integration.postgres.support import Tenant, World


def act(operation: str = "put_category", reason: str = "") -> Act:
    return Act(actor="key-1", operation=operation, target="categories/offers", reason=reason)


def never(error: Exception) -> None:
    """What is told of an end that is lost, where none may be."""
    raise error


async def do(world: World, tenant: Tenant, one: Act) -> None:
    async with recorded(PostgresAuditLog(world.pools), tenant.id, one, never) as ending:
        ending.facts["status"] = 200


async def test_acts_are_kept_in_order_with_their_ends(world: World, tenant: Tenant):
    log = PostgresAuditLog(world.pools)
    await do(world, tenant, act(reason="spring"))
    with pytest.raises(Refused):
        async with recorded(log, tenant.id, act("delete_provider"), never):
            raise Refused("it may not", "scope")
    found = await log.search(tenant.id, AuditQuery())
    assert [(one.act.operation, one.outcome, one.act.reason) for one in found] == [
        ("delete_provider", "refused", ""),
        ("put_category", "done", "spring"),
    ]
    assert found[1].ending == {"status": 200}
    assert (
        await log.search(tenant.id, AuditQuery(operation="put_category", target="categories/")) == found[1:]
    )
    assert not await log.search(tenant.id, AuditQuery(actor="key-2"))
    assert not await log.search(tenant.id, AuditQuery(from_ms=found[0].at_ms + 1))
    verdict = await verify_audit_chain(log, tenant.id, found[0].at_ms)
    assert (verdict.rows, verdict.number, verdict.broken) == (4, 4, None)
    assert verdict.hash == found[0].hash


async def test_entries_of_many_at_once_follow_one_another(world: World, tenant: Tenant):
    await asyncio.gather(*(do(world, tenant, act(f"act-{number}")) for number in range(20)))
    verdict = await verify_audit_chain(PostgresAuditLog(world.pools), tenant.id, await world.pools.now_ms())
    assert (verdict.rows, verdict.broken) == (40, None)


async def test_no_tenant_sees_another_ones_log(world: World, tenant: Tenant):
    other = await world.tenant()
    await do(world, tenant, act())
    log = PostgresAuditLog(world.pools)
    assert await log.search(other.id, AuditQuery()) == []
    assert await log.read(other.id, 0, 10) == []


STATEMENTS = (
    "UPDATE audit_log SET actor = 'nobody'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
)


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("role", ["audit", "pipeline", "reader"])
async def test_no_role_can_change_the_log(databases: PreparedDatabases, role: str, statement: str):
    connection = await asyncpg.connect(getattr(databases.urls, role))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_not_even_the_owner_can_while_the_trigger_stands(
    world: World, tenant: Tenant, admin_url: str, statement: str
):
    await do(world, tenant, act())
    connection = await asyncpg.connect(admin_url.rpartition("/")[0] + "/clarion")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM audit_log",
        "SELECT * FROM user_profiles",
        "INSERT INTO tenant_settings (tenant_id, name) VALUES (gen_random_uuid(), 'x')",
        "SELECT drop_old_audit()",
    ],
)
async def test_the_audit_role_can_do_nothing_but_add(databases: PreparedDatabases, statement: str):
    connection = await asyncpg.connect(databases.urls.audit)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


async def test_the_audit_role_adds_for_the_tenant_of_its_transaction_only(world: World, tenant: Tenant):
    other = await world.tenant()
    async with world.pools.audit(tenant.id) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO audit_log VALUES ($1, 1, now(), 0, '', '', '', 'begun', '', '', '', '', '', '')",
                other.id,
            )


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("UPDATE audit_log SET actor = 'eve' WHERE tenant_id = $1 AND number = 3", 3),
        ("UPDATE audit_log SET at = at + interval '1 ms' WHERE tenant_id = $1 AND number = 5", 5),
        ("DELETE FROM audit_log WHERE tenant_id = $1 AND number = 4", 4),
        ("DELETE FROM audit_log WHERE tenant_id = $1 AND number <= 2", 1),
        ("UPDATE audit_log SET facts = '{}' WHERE tenant_id = $1 AND number = 2", 2),
    ],
)
async def test_what_was_tampered_with_is_named(
    world: World, tenant: Tenant, admin_url: str, tampering: str, named: int
):
    for number in range(3):
        await do(world, tenant, act(f"act-{number}"))
    connection = await asyncpg.connect(admin_url.rpartition("/")[0] + "/clarion")
    async with connection.transaction():
        await connection.execute(
            "SET LOCAL session_replication_role = replica"
        )  # no triggers: a thief of the owner
        await connection.execute(tampering, tenant.id.hex())
    await connection.close()
    verdict = await verify_audit_chain(PostgresAuditLog(world.pools), tenant.id, await world.pools.now_ms())
    assert verdict.broken is not None
    assert verdict.broken.number == named


async def test_an_act_that_cannot_be_written_down_does_not_happen(world: World):
    tenant = await world.tenant()
    log = PostgresAuditLog(world.pools)
    await world.pools.close()
    happened = False
    with pytest.raises(Transient):
        async with recorded(log, tenant.id, act(), never):
            happened = True
    assert not happened
