"""The regional store: what was decided, and what came of it."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0028_pre_ml_decisions"
down_revision = "0027_pre_ml_models"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
