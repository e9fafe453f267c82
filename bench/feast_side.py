"""Feast's side of a comparison; runs in Feast's own environment, which has no Clarion.

`python feast_side.py REPOSITORY FROM_MS TO_MS USERS LOOKUPS`: applies the repository, materialises that time, and looks
up one user at a time, 1 to USERS in turn. Prints JSON: how long each took (ms), and what it says of each user.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MANY = 100
"""Users of one look-up, where more than one is looked up."""


def main() -> None:
    """Measure, and print."""
    folder, *numbers = sys.argv[1:]
    from_ms, to_ms, users, lookups = map(int, numbers)
    feast: Any = importlib.import_module("feast")
    defined: dict[str, Any] = runpy.run_path(str(Path(folder) / "definitions.py"))
    view = defined["user_features"]
    store = feast.FeatureStore(repo_path=folder)
    store.apply([defined["user"], view])
    began = time.perf_counter()
    store.materialize(_instant(from_ms), _instant(to_ms))
    written_s = time.perf_counter() - began
    names = [field.name for field in view.schema if field.name != "user_id"]
    wanted = [f"{view.name}:{name}" for name in names]

    def look_up(*user_ids: int) -> dict[str, list[Any]]:
        rows = [{"user_id": user_id} for user_id in user_ids]
        return store.get_online_features(features=wanted, entity_rows=rows).to_dict()

    def times(count: int, many: int) -> list[float]:
        spans: list[float] = []
        for number in range(count):
            user_ids = [(number + place) % users + 1 for place in range(many)]
            began_ns = time.perf_counter_ns()
            look_up(*user_ids)
            spans.append((time.perf_counter_ns() - began_ns) / 1e6)
        return spans

    columns = look_up(*range(1, users + 1))
    said = {user_id: [columns[name][user_id - 1] for name in names] for user_id in range(1, users + 1)}
    times(lookups // 10, 1)
    found = {"feast": feast.__version__, "names": names, "said": said, "written_s": written_s}
    print(json.dumps({**found, "spans": times(lookups, 1), "of_many": times(lookups // 40, MANY)}))


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


if __name__ == "__main__":
    main()
