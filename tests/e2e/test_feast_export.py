"""`clarion ml feast`: what was known of users on each day, and nothing that came later."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.live.support import Person, run_clarion


async def test_each_day_knows_what_came_before_it(person: Person, tmp_path: Path):
    await person.users(1)
    now = datetime.now(UTC)
    events = [
        {"user_id": "user-0", "event": "seen", "timestamp": (now - timedelta(days=days, hours=3)).isoformat()}
        for days in (1, 2)
    ]
    await person.get("POST /events/batch", {"events": events})
    folder = tmp_path / "feast"
    words = ("ml", "feast", folder, "--tenant", person.name, "--days", "5", "--data", person.instance.data)
    done = await run_clarion(*words)
    assert done.code == 0, done.stderr
    parquet: Any = importlib.import_module("pyarrow.parquet")
    rows = parquet.read_table(folder / "data" / "features.parquet").to_pylist()
    days = {round((now - row["event_timestamp"]).total_seconds() / 86_400): row for row in rows}
    assert sorted(days) == [0, 1, 2], "before she was first seen, nothing was known of her"
    assert (folder / "definitions.py").exists()
    assert days[0]["engagement_score"] > 0
