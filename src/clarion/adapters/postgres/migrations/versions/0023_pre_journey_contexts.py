"""The regional store: what runs of journeys know that is personal."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0023_pre_journey_contexts"
down_revision = "0022_pre_secrets"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
