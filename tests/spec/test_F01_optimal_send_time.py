"""F-01, optimal send time.

Read as: `send_time: optimal` sends at the hour at which this user is there, in her own time zone, inside what the
rules leave open; of somebody unknown, at an hour at which people are. The specification's own text is not in this
repository.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from clarion.testing.waiting import eventually
from tests.live.support import Person, fetch

TOKYO: Final = ZoneInfo("Asia/Tokyo")
DAYS: Final = 45
OPTIMAL: Final = {"send_time": "optimal"}


async def now_of(person: Person) -> datetime:
    """The present by the store's clock."""
    ((now,),) = await fetch(person.instance, "SELECT clock_timestamp()")
    return now


async def be_there(person: Person, user: str, zone: ZoneInfo, hour: int) -> None:
    """A user in a zone who was active at this hour of hers on each of the last DAYS days."""
    await person.get(f"PUT /users/{user}", {"email": f"{user}@example.org", "timezone": zone.key})
    today = (await now_of(person)).astimezone(zone).replace(hour=hour, minute=20, second=0, microsecond=0)
    visits = [today - timedelta(days=1 + day) for day in range(DAYS)]
    events = [{"user_id": user, "event": "opened_app", "timestamp": at.isoformat()} for at in visits]
    await person.get("POST /events/batch", {"events": events})


async def send_optimally(person: Person, user: str, **fields: Any) -> dict[str, Any]:
    return await person.notify(user_id=user, category="service", optimization=OPTIMAL, **fields)


def hour_of(answer: dict[str, Any], zone: ZoneInfo) -> int:
    """The local hour that was chosen."""
    return datetime.fromisoformat(answer["ml_predictions"]["optimal_send_time"]).astimezone(zone).hour


async def learned(person: Person, user: str, zone: ZoneInfo, hour: int) -> dict[str, Any]:
    """A message that goes at the hour of this user, as soon as it is known."""

    async def ask() -> dict[str, Any]:
        return await send_optimally(person, user)

    return await eventually(ask, lambda answer: hour_of(answer, zone) == hour, every_s=0.3)


@pytest.mark.parametrize("hour", [9, 20])
async def test_F01_a_message_waits_for_the_hour_at_which_its_user_is_there(person: Person, hour: int):
    await be_there(person, "her", TOKYO, hour)
    answer = await learned(person, "her", TOKYO, hour)
    due = datetime.fromisoformat(answer["ml_predictions"]["optimal_send_time"])
    assert answer["status"] == ("queued" if due <= await now_of(person) else "ml_scheduled")
    assert due - await now_of(person) < timedelta(hours=24)
    deliveries = (await person.get(f"GET /notifications/{answer['notification_id']}"))["deliveries"]
    if answer["status"] == "ml_scheduled":
        assert datetime.fromisoformat(deliveries[0]["ml_send_time"]) == due
    decision = (await person.get(f"GET /notifications/{answer['notification_id']}/trace"))["decision"]
    assert not decision["ml_fallback"]
    assert decision["confidence"] > 0.3


async def test_F01_her_hour_does_not_open_what_the_rules_shut(person: Person):
    """She is there at three in the night, which is quiet time: the best hour of those that are open is taken."""
    await be_there(person, "owl", TOKYO, 3)

    async def known() -> bool:
        decision = await decision_of(person, "owl")
        return decision["confidence"] > 0.3

    await eventually(known, every_s=0.3)
    assert 8 <= hour_of(await send_optimally(person, "owl"), TOKYO) < 22


async def test_F01_an_urgent_message_waits_for_no_hour(person: Person):
    await be_there(person, "her", TOKYO, 20)
    await learned(person, "her", TOKYO, 20)
    urgent = await person.notify(user_id="her", category="security", priority=0, optimization=OPTIMAL)
    assert urgent["status"] == "queued"


async def decision_of(person: Person, user: str) -> dict[str, Any]:
    answer = await send_optimally(person, user)
    return (await person.get(f"GET /notifications/{answer['notification_id']}/trace"))["decision"]
