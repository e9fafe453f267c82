"""Alembic's entry. Always offline: Alembic writes the script, `migrate` runs it through asyncpg in one transaction.

So there is one driver, and the SQL of a release can be read before it runs.
"""

from __future__ import annotations

from alembic import context

# With the dialect's own paramstyle SQLAlchemy would double each `%` of the script.
context.configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, literal_binds=True)
with context.begin_transaction():
    context.run_migrations()
