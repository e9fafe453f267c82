"""The regional store: models that a person chose."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0032_pre_ml_models_held"
down_revision = "0031_pre_ml_experiments"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
