"""The regional store: effects of journeys."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0025_pre_journey_effects"
down_revision = "0024_pre_journey_entries"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
