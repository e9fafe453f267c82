"""Migrating: from any server to the newest schema, at every start, twice at once, or with a clear word."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from itertools import pairwise
from typing import NamedTuple

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from clarion.adapters.globaldb.store import apply_schema
from clarion.adapters.postgres import migrate as migrations
from clarion.adapters.postgres.migrate import (
    Databases,
    MigrationReport,
    database_url,
    known_revisions,
    migrate,
    scram_verifier,
)
from clarion.kernel.errors import Invalid, Permanent, Transient
from clarion.testing.database import PASSWORDS, prepare_databases

CATALOGUE = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default "
    "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "policies": "SELECT tablename, policyname, roles::text, cmd, qual FROM pg_policies ORDER BY 1, 2",
    "grants": "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants "
    "WHERE table_schema = 'public' ORDER BY 1, 2, 3",
    "functions": "SELECT proname, pg_get_functiondef(oid), proacl::text FROM pg_proc "
    "WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
    "revision": "SELECT version_num FROM alembic_version",
}


class Fresh(NamedTuple):
    """Databases of this module's own, as four migrations at once made them."""

    names: Databases
    reports: list[MigrationReport]


@pytest.fixture(scope="module")
def fresh(admin_url: str) -> Fresh:
    """Fresh databases; they go with the session's server."""
    mark = os.urandom(4).hex()
    names = Databases(f"t_{mark}", f"t_{mark}_keys", f"t_{mark}_global")

    async def migrate_at_once() -> list[MigrationReport]:
        return await asyncio.gather(*(migrate(admin_url, PASSWORDS, names) for _ in range(4)))

    return Fresh(names, asyncio.run(migrate_at_once()))


async def catalogue(url: str) -> dict[str, list[tuple[object, ...]]]:
    connection = await asyncpg.connect(url)
    try:
        return {
            name: [tuple(row) for row in await connection.fetch(query)] for name, query in CATALOGUE.items()
        }
    finally:
        await connection.close()


async def test_of_many_at_once_one_migrates(fresh: Fresh):
    applied = [report.applied for report in fresh.reports]
    assert sorted(applied) == [(), (), (), tuple(known_revisions())]
    await asyncio.gather(*(apply_schema(fresh.reports[0].global_url) for _ in range(4)))


async def test_a_second_run_changes_nothing(admin_url: str, fresh: Fresh):
    url = database_url(admin_url, fresh.names.regional)
    before = await catalogue(url)
    second = await migrate(admin_url, PASSWORDS, fresh.names)
    assert (second.applied, second.revision) == ((), known_revisions()[-1])
    assert await catalogue(url) == before


async def test_migrating_step_by_step_gives_the_same_schema_as_at_once(admin_url: str, fresh: Fresh):
    name = f"{fresh.names.regional}_steps"
    admin = await asyncpg.connect(admin_url)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await admin.close()
    connection = await asyncpg.connect(database_url(admin_url, name))
    for before, after in pairwise(["", *known_revisions()]):
        await connection.execute(migrations.write_script(before, after))
    await connection.close()
    steps = await catalogue(database_url(admin_url, name))
    at_once = await catalogue(database_url(admin_url, fresh.names.regional))
    assert steps == at_once


async def test_the_roles_can_connect_and_do_their_work(fresh: Fresh):
    report = fresh.reports[0]
    for url, query in (
        (report.urls.pipeline, "SELECT count(*) FROM open_deliveries"),
        (report.urls.reader, "SELECT count(*) FROM notifications"),
        (report.urls.keys, "SELECT count(*) FROM subject_keys"),
        (report.global_url, "SELECT 0"),
    ):
        connection = await asyncpg.connect(url)
        assert await connection.fetchval(query) == 0
        assert not await connection.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user")
        await connection.close()


async def test_partitions_are_there_for_today_and_the_days_ahead(fresh: Fresh):
    connection = await asyncpg.connect(fresh.reports[0].urls.pipeline)
    missing = await connection.fetch(
        "SELECT n FROM generate_series(-1, 3) n WHERE to_regclass('notifications_' "
        "|| to_char(now() AT TIME ZONE 'UTC' + n * interval '1 day', 'YYYYMMDD')) IS NULL"
    )
    await connection.close()
    assert missing == []


async def test_a_schema_that_a_newer_release_migrated_is_left_alone(admin_url: str, fresh: Fresh):
    regional = await asyncpg.connect(database_url(admin_url, fresh.names.regional))
    set_revision = "UPDATE alembic_version SET version_num = $1"
    await regional.execute(set_revision, "9999_pre_later")
    report = await migrate(admin_url, PASSWORDS, fresh.names)
    assert (report.revision, report.applied) == ("9999_pre_later", ())
    await regional.execute(set_revision, "0000_somebody_elses")
    with pytest.raises(Permanent, match="0000_somebody_elses"):
        await migrate(admin_url, PASSWORDS, fresh.names)
    await regional.execute(set_revision, known_revisions()[-1])
    await regional.close()


async def test_an_admin_without_rights_is_told_which(admin_url: str):
    role = f"weak_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(admin_url)
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
    try:
        with pytest.raises(Permanent, match="CREATEDB, CREATEROLE and BYPASSRLS"):
            await migrate(database_url(admin_url, "postgres", (role, "weak")), PASSWORDS)
        with pytest.raises(Permanent, match="does not open the server"):
            await migrate(database_url(admin_url, "postgres", (role, "wrong")), PASSWORDS)
    finally:
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "postgresql://a:b@127.0.0.1:port/x"])
async def test_a_url_that_cannot_be_read_is_named(url: str):
    with pytest.raises(Invalid) as caught:
        await migrate(url, PASSWORDS)
    assert caught.value.path == "postgres_url"


async def test_a_server_that_is_away_may_come_back():
    with pytest.raises(Transient):
        await migrate("postgresql://a:b@127.0.0.1:1/postgres", PASSWORDS)


def test_a_start_that_has_nothing_to_migrate_does_not_load_alembic(admin_url: str):
    program = (
        "import asyncio, sys; from clarion.testing.database import prepare_databases; "
        "asyncio.run(prepare_databases(sys.argv[1])); print('alembic' in sys.modules)"
    )
    asyncio.run(prepare_databases(admin_url))
    answer = subprocess.run(
        [sys.executable, "-c", program, admin_url], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "False"


def test_history_has_no_branches_and_its_order_is_that_of_the_numbers():
    config = Config()
    config.set_main_option("script_location", str(migrations.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    in_order = [revision.revision for revision in script.walk_revisions()][::-1]
    assert in_order == known_revisions()
    assert script.get_heads() == [known_revisions()[-1]]


@pytest.mark.parametrize("name", known_revisions())
def test_migrations_are_named_for_when_they_run(name: str):
    number, phase, *words = name.split("_")
    assert number.isdecimal()
    assert len(number) == 4
    assert phase in {"pre", "post"}
    assert words
    assert len(name) <= 32, "alembic_version keeps no more"


@pytest.mark.parametrize("password", ["", "with\nbreak", "schlüssel"])
def test_passwords_that_would_be_prepared_otherwise_elsewhere_are_refused(password: str):
    with pytest.raises(Invalid):
        scram_verifier(password, bytes(16))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:1/x", "postgresql://role:p%2Fw%40@h:1/d"),
        ("postgresql://h/x?sslmode=require", "postgresql://role:p%2Fw%40@h/d?sslmode=require"),
        ("postgres://u@[::1]:5/", "postgres://role:p%2Fw%40@[::1]:5/d"),
    ],
)
def test_urls_of_other_roles_and_databases(url: str, expected: str):
    assert database_url(url, "d", ("role", "p/w@")) == expected
    assert database_url(url, "d").endswith(expected.rpartition("@")[2])
