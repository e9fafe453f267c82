"""How a revision runs its `.sql` file."""

from __future__ import annotations

from importlib.resources import files

from alembic import op
from sqlalchemy import text


def execute_sql_file(revision: str) -> None:
    """Emit `versions/{revision}.sql` as it stands. Raises FileNotFoundError."""
    script = (files("clarion.adapters.postgres.migrations") / "versions" / f"{revision}.sql").read_text(
        "utf-8"
    )
    op.execute(text(script.replace(":", r"\:")))  # `:name` would be a parameter to SQLAlchemy
