"""The regional store: providers that were tried, and channels to fall back on."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0012_pre_fallbacks"
down_revision = "0011_pre_routing"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
