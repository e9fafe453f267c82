"""The regional store: devices whose tokens are dead."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0013_pre_push"
down_revision = "0012_pre_fallbacks"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
