"""The regional store, from the first day."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0001_pre_initial"
down_revision = None


def upgrade() -> None:
    """Create everything. There is no way down: a schema only expands, and is contracted when nobody needs the old."""
    execute_sql_file(revision)
