"""The regional store: where users may be."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0016_pre_whereabouts"
down_revision = "0015_pre_consent_ledger"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
