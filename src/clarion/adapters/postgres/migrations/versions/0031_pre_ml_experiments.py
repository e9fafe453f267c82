"""The regional store: experiments, what other policies would bring, and the settings from before."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0031_pre_ml_experiments"
down_revision = "0029_pre_ml_settings"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
