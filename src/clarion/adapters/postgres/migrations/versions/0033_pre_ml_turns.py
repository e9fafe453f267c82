"""The regional store: who trains a tenant's models, and when a training that failed is tried again."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0033_pre_ml_turns"
down_revision = "0032_pre_ml_models_held"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
