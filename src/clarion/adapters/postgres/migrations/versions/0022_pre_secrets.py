"""The regional store: what tenants' own keys seal."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0022_pre_secrets"
down_revision = "0021_pre_members"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
