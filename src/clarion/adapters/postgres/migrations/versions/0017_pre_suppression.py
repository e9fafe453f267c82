"""The regional store: suppressions and whose word they are."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0017_pre_suppression"
down_revision = "0016_pre_whereabouts"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
