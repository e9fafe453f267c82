"""The regional store: the consent ledger."""

from __future__ import annotations

from clarion.adapters.postgres.migrations.sql_file import execute_sql_file

revision = "0015_pre_consent_ledger"
down_revision = "0014_pre_compliance"


def upgrade() -> None:
    """Expand the schema; the previous release runs on it."""
    execute_sql_file(revision)
