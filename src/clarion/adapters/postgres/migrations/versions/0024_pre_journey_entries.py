"""The regional store: who was in a segment that journeys begin from."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0024_pre_journey_entries"
down_revision = "0023_pre_journey_contexts"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
