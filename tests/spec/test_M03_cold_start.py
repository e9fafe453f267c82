"""M-03, cold start.

Read as: somebody of whom nothing is known is served by the population's hours in her own local time, never in UTC; what
is said of her is sane, and says how uncertain it is; the first thing that she does begins to count. The specification's
own text is not in this repository.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pytest

from clarion.testing.waiting import eventually
from tests.live.support import Person
from tests.spec.learned_people import BEGIN_S, Sign, evaluated, write_rows

OFFSETS_MIN: Final = (540, -480, 0)
ZONES: Final = ("Asia/Tokyo", "America/Los_Angeles", "Europe/London")


@lru_cache(maxsize=1)
def judge() -> dict[str, dict[str, Any]]:
    """People of three zones who keep office hours; every day some come for the first time."""
    chance = np.random.default_rng(17)
    rows: list[Sign] = []
    for person in range(900):
        zone_min = OFFSETS_MIN[person % len(OFFSETS_MIN)]
        for day in (person % 300, person % 300 + 1, person % 300 + 3):
            local_s = int(chance.normal(11, 1.5) * 3600)
            rows.append((f"p{person}", BEGIN_S + day * 86_400 + local_s - zone_min * 60, zone_min, "web"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "newcomers.parquet"
        write_rows(path, rows)
        return evaluated(path)


@pytest.mark.parametrize("hours", [3, 6])
def test_M03_strangers_are_met_in_their_local_time(hours: int):
    what = f"first day of a stranger in a window of {hours} h"
    model, utc = judge()[what]["value"], judge()[f"{what}: by global UTC"]["value"]
    assert model > utc
    assert model > judge()[f"{what}: by random"]["value"]


@pytest.mark.parametrize("zone", ZONES)
async def test_M03_what_is_said_of_somebody_unknown_is_sane_and_uncertain(person: Person, zone: str):
    name = zone.rpartition("/")[2].lower()
    await person.get(f"PUT /users/{name}", {"email": f"{name}@example.org", "timezone": zone})
    said = await person.get(f"GET /ml/predictions/{name}")
    for times in said["optimal_send_times"].values():
        assert all(8 <= int(time[:2]) <= 22 for time in times), "by day, on her own clock"
    assert all(0 < chance < 0.3 for chance in said["engagement_prediction"].values())
    assert 0 <= said["churn_risk"] <= 1
    assert said["uncertainty"]["send_time"] == 1
    assert said["uncertainty"]["ml_fallback"] is False


async def test_M03_the_first_thing_that_she_does_counts(person: Person):
    await person.get("PUT /users/new", {"email": "new@example.org", "timezone": "UTC"})
    at = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    await person.get("POST /events", {"user_id": "new", "event": "opened_app", "timestamp": at})

    async def uncertainty() -> Any:
        return (await person.get("GET /ml/predictions/new"))["uncertainty"]["send_time"]

    assert 0.5 < await eventually(uncertainty, lambda found: found < 1, every_s=0.3) < 1
