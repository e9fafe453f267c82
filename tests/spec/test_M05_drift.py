"""M-05, drift.

Read as: what people do changes abruptly. An alarm is raised within days, and none without a change; and what is
predicted follows by itself, so that soon it is better than a model that was left as it was. The specification's own
text is not in this repository.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from clarion.testing.waiting import eventually
from tests.live.support import Person
from tests.spec.learned_people import BEGIN_S, Sign, evaluated, write_rows

PEOPLE: Final = 120
DAYS: Final = 600
BREAK_DAY: Final = 430
"""More than a year is quiet, and half a year follows."""


def write_break(path: Path) -> None:
    """People with a surface each; on one day half of them leave it for one that was not there before."""
    chance = np.random.default_rng(5)
    rows: list[Sign] = []
    for person in range(PEOPLE):
        liked, leaves = ("web", "app")[person % 2], person % 4 < 2
        for day in np.flatnonzero(chance.random(DAYS) < 0.4).tolist():
            on = "chat" if leaves and day >= BREAK_DAY else liked
            if chance.random() < 0.1:
                on = ("web", "app")[int(chance.integers(0, 2))]
            at_s = BEGIN_S + day * 86_400 + int(chance.normal(14, 2) % 24 * 3600)
            rows.append((f"p{person}", at_s, 0, on))
    write_rows(path, rows)


@lru_cache(maxsize=1)
def judge() -> dict[str, dict[str, Any]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "break.parquet"
        write_break(path)
        return evaluated(path)


def test_M05_the_alarm_is_raised_within_days_and_never_without_a_change():
    assert judge()["days from an abrupt change to its alarm"]["value"] <= 14
    assert judge()["false drift alarms, the year before it"]["value"] == 0
    assert judge()["false drift alarms, shuffled signs"]["value"] == 0


def test_M05_four_months_later_predictions_have_followed():
    found = judge()["top surface four months after a new one appeared"]
    assert found["value"] > 80
    assert found["value"] > found["baseline"] + 7, "the same, not fed since"


async def test_M05_a_user_whose_day_is_turned_round_is_met_at_her_new_hour(person: Person):
    await person.get("PUT /users/mover", {"email": "mover@example.org", "timezone": "UTC"})
    now = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
    hours = [(day, 9 if day > 42 else 20) for day in range(1, 84)]
    events = [
        {
            "user_id": "mover",
            "event": "opened_app",
            "timestamp": (now - timedelta(days=day)).replace(hour=hour).isoformat(),
        }
        for day, hour in hours
    ]
    await person.get("POST /events/batch", {"events": events})

    async def best() -> str:
        said = await person.get("GET /ml/predictions/mover")
        return str(said["optimal_send_times"]["email"][0])

    assert await eventually(best, lambda time: time.startswith("20"), every_s=0.3)
