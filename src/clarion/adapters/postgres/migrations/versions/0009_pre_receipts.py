"""The regional store: what receipts of vendors need."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0009_pre_receipts"
down_revision = "0008_pre_dead_letters"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
