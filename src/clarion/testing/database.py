"""A migrated server for tests: everything that production has, with passwords that everybody knows."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.globaldb.store import apply_schema
from clarion.adapters.postgres.migrate import (
    API_ROLE,
    AUDIT_ROLE,
    PIPELINE_ROLE,
    Databases,
    RolePasswords,
    migrate,
)
from clarion.adapters.postgres.pools import PostgresUrls
from clarion.adapters.sealing.master_key import MasterKey

MASTER_KEY: Final = b"the master key of all the tests!".hex()
"""The master key of the tests: roles that are opened with it find a server that was prepared here."""

_MASTER: Final = MasterKey.from_text(MASTER_KEY)

PASSWORDS: Final = RolePasswords(
    pipeline=_MASTER.password(PIPELINE_ROLE),
    api=_MASTER.password(API_ROLE),
    audit=_MASTER.password(AUDIT_ROLE),
)


class PreparedDatabases(msgspec.Struct, frozen=True):
    """Where a test connects. No URL here is a superuser's."""

    urls: PostgresUrls
    global_url: str


async def prepare_databases(admin_url: str, databases: Databases | None = None) -> PreparedDatabases:
    """Migrate the server of `admin_url` (a superuser's), global store included. Cheap (0.1 s) where it is done."""
    report = await migrate(admin_url, PASSWORDS, databases)
    await apply_schema(report.global_url)
    return PreparedDatabases(report.urls, report.global_url)


async def prepared_database(admin_url: str) -> PostgresUrls:
    """The regional part of `prepare_databases`: what `open_pools` takes."""
    return (await prepare_databases(admin_url)).urls
