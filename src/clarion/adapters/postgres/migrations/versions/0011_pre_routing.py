"""The regional store: how tenants want their deliveries routed."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0011_pre_routing"
down_revision = "0010_pre_prices"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
