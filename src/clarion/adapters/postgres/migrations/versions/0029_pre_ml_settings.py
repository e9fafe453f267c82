"""The regional store: how tenants use models."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0029_pre_ml_settings"
down_revision = "0028_pre_ml_decisions"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
