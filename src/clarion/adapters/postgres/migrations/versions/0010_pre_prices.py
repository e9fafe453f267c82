"""The regional store: prices, budgets and quotas."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0010_pre_prices"
down_revision = "0009_pre_receipts"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
