"""Named queries from the `.sql` files beside this module: `-- name: x` heads a query, a comment explains it."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_HEAD: Final = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load_queries(name: str) -> dict[str, str]:
    """The queries of `sql/{name}.sql` by name. Raises FileNotFoundError, and ValueError on a name given twice."""
    text = (files("clarion.adapters.postgres") / "sql" / f"{name}.sql").read_text("utf-8")
    parts = _HEAD.split(text)[1:]
    found: dict[str, str] = {}
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        if title in found:
            msg = f"query {title} stands twice in {name}.sql"
            raise ValueError(msg)
        found[title] = body.strip().rstrip(";")
    return found
