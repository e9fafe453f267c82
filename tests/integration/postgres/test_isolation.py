"""Tenants are islands, and it is the server that says so."""

from __future__ import annotations

import asyncpg
import pytest

from clarion.compliance.consent import ConsentRequest
from clarion.kernel.errors import ClarionError
from clarion.testing.database import PreparedDatabases
from tests.integration.postgres.support import Tenant, World, nobody

TABLES_OF_TENANTS = """
    SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, coalesce(c.relacl::text, '') AS acl,
           EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policy
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id'
"""


async def test_no_table_with_a_tenant_lacks_forced_row_level_security(databases: PreparedDatabases):
    connection = await asyncpg.connect(databases.urls.pipeline)
    tables = await connection.fetch(TABLES_OF_TENANTS)
    await connection.close()
    assert len(tables) > 15
    for table in tables:
        assert table["relrowsecurity"], table["relname"]
        assert table["relforcerowsecurity"], table["relname"]
        if table["relispartition"]:
            assert "clarion" not in table["acl"].replace("clarion=", ""), (
                f"{table['relname']} is granted by name"
            )
        else:
            assert table["has_policy"], table["relname"]


async def test_no_role_is_a_superuser_and_only_the_pipeline_goes_around_policies(world: World):
    async with world.pools.pipeline() as connection:
        roles = await connection.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles "
            "WHERE rolname LIKE 'clarion\\_%' ORDER BY rolname"
        )
    assert [tuple(role) for role in roles] == [
        ("clarion_api", False, False, False, False),
        ("clarion_audit", False, False, False, False),
        ("clarion_pipeline", False, True, False, False),
    ]


async def test_a_reader_without_a_tenant_sees_nothing(world: World, tenant: Tenant):
    await tenant.user("ada")
    async with world.pools.pipeline() as connection:
        tables = await connection.fetch(
            "SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' "
            "AND NOT c.relispartition AND has_table_privilege('clarion_api', c.oid, 'SELECT')"
        )
    names = {table["name"] for table in tables}
    assert {"user_profiles", "tenant_settings", "api_keys", "providers", "members", "audit_log"} <= names
    async with nobody(world.pools) as connection:
        for table in sorted(names):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608  of the catalogue


async def test_a_reader_sees_its_tenant_only(world: World, tenant: Tenant):
    other = await world.tenant()
    await tenant.user("ada")
    await other.user("eve")
    async with world.pools.reader(tenant.id) as connection:
        rows = await connection.fetch("SELECT external_id, tenant_id FROM user_profiles")
    assert [(row["external_id"], row["tenant_id"]) for row in rows] == [("ada", tenant.id)]


async def test_the_tenant_does_not_stay_with_the_connection(world: World, tenant: Tenant):
    async with world.pools.reader(tenant.id):
        pass
    async with nobody(world.pools) as connection:
        assert await connection.fetchval("SELECT count(*) FROM tenant_settings") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenant_settings SET name = 'x'",
        "DELETE FROM user_profiles",
        "INSERT INTO suppressions (tenant_id, user_id, channel, reason) VALUES (gen_random_uuid(), 1, 'sms', 'stop')",
        "SELECT ensure_partitions(1)",
        "SELECT * FROM outbox",
    ],
)
async def test_the_reader_can_neither_write_nor_read_what_is_nobodys(
    databases: PreparedDatabases, statement: str
):
    connection = await asyncpg.connect(databases.urls.reader)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


async def test_partitions_cannot_be_read_by_their_own_name(databases: PreparedDatabases):
    for url in (databases.urls.reader, databases.urls.pipeline):
        connection = await asyncpg.connect(url)
        name = await connection.fetchval(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'notifications'::regclass LIMIT 1"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT * FROM {name}")  # noqa: S608  from the catalogue
        await connection.close()


async def test_the_readers_role_cannot_reach_the_keys(databases: PreparedDatabases):
    login, _, _ = databases.urls.reader.rpartition("/")
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(login + "/clarion_keys")


async def test_what_users_said_cannot_be_unsaid(world: World, tenant: Tenant):
    await tenant.user("ada")
    await tenant.say(
        ConsentRequest(user_id="ada", channel="sms", category="all", consented=False, source="stop")
    )
    for statement in ("DELETE FROM consent_events", "UPDATE consent_events SET consented = true"):
        with pytest.raises((ClarionError, asyncpg.InsufficientPrivilegeError)):
            async with world.pools.pipeline() as connection:
                await connection.execute(statement)
