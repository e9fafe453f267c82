"""C-07, cost spike.

Read as: a journey that has run away, or codes that somebody has pumped to numbers he is paid for, must not spend what
nobody meant to spend. A budget alarms at 80 % and stops marketing at 100 %, within what is under way; one-time codes go
on below their own cap; a flood of codes to one block of numbers is stopped within seconds, and other numbers are not.
The specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import pytest

from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.support import Person, at_noon, scrape

PRICE: Final = 0.05
N: Final = 60
LIMIT: Final = 40
TEXT: Final = {"channel_selection": "specified", "channels": ["sms"]}


@pytest.fixture
def words() -> dict[str, Any]:
    """A text message."""
    return {"data": {"body": "Hello"}, "optimization": TEXT}


async def with_numbers(person: Person, first: str, count: int) -> list[str]:
    """Users who can be reached by text message, in one block of numbers, and agreed to it."""
    names = [f"u{first.strip('+')}{n:04d}" for n in range(count)]
    users = [
        {"user_id": name, "phone": f"{first}{n:04d}", "timezone": at_noon()} for n, name in enumerate(names)
    ]
    await person.get("POST /users/batch", {"users": users})
    return names


async def agree(person: Person, users: list[str]) -> None:
    for name in users:
        word = {
            "user_id": name,
            "channel": "sms",
            "category": "marketing",
            "consented": True,
            "source": "test",
        }
        await person.get("POST /compliance/consent", word)


async def pay(person: Person) -> None:
    # The hour of the day is no matter here.
    await person.get("PUT /compliance/settings", {"default_windows": False})
    body = {"kind": "sandbox", "channel": "sms", "cost": {"default": PRICE}}
    await person.get("PUT /providers/sandbox-sms", body)


async def budget(person: Person, **fields: Any) -> Any:
    """The budget, as it stands."""
    (found,) = (await person.get("GET /analytics/budgets"))["budgets"]
    return {name: found[name] for name in fields or found}


async def test_C07_a_runaway_stops_at_the_limit_and_codes_go_on(
    person: Person, live: Live, words: dict[str, Any]
):
    users = await with_numbers(person, "+49151234", N)
    await agree(person, users)
    await pay(person)
    await person.get("PUT /analytics/budgets", {"budgets": [{"name": "all", "limit": LIMIT * PRICE}]})
    alarms = await scrape(live.metrics_port)

    # A runaway asks again and again, here and there, while what it asked for before is under way.
    asked = [
        asyncio.create_task(person.campaign(users[start::4], category="marketing", **words))
        for start in range(4)
    ]
    await asyncio.gather(*asked)
    codes = await person.campaign(users[:3], category="security", **words)
    for ident in codes:
        assert await person.ends(ident) == "sent"

    def settled(statuses: Counter[str]) -> bool:
        return statuses["sent"] >= LIMIT + 3 and not statuses["queued"] + statuses["processing"]

    statuses = await eventually(person.statuses, settled, within_s=30, every_s=0.2)
    # To the cent: what is under way is held before it leaves.
    assert statuses["sent"] == LIMIT + 3
    assert statuses["deferred"] + statuses["blocked"] == N - LIMIT
    spent = await budget(person)
    assert (spent["state"], spent["spent"]) == ("spent", pytest.approx((LIMIT + 3) * PRICE))

    async def told() -> dict[str, float]:
        return await scrape(live.metrics_port)

    def both(now: dict[str, float]) -> bool:
        names = [f'clarion_budget_alarms_total{{state="{state}"}}' for state in ("soft", "spent")]
        return any(now.get(name, 0) > alarms.get(name, 0) for name in names)

    await eventually(told, both, within_s=20, every_s=0.2)

    async def reported() -> Any:
        return (await person.get("GET /analytics/cost"))["total_cost"]

    await eventually(reported, lambda cost: cost == pytest.approx((LIMIT + 3) * PRICE), within_s=20)


async def test_C07_a_worker_that_dies_in_the_middle_overspends_nothing(
    person: Person, live: Live, words: dict[str, Any]
):
    users = await with_numbers(person, "+49151234", N)
    await agree(person, users)
    await pay(person)
    await person.get("PUT /analytics/budgets", {"budgets": [{"name": "all", "limit": LIMIT * PRICE}]})
    # It has called, and dies before it can say what came of it.
    live.crash.write_text("answered")

    await person.campaign(users, category="marketing", **words)

    def settled(statuses: Counter[str]) -> bool:
        return statuses.total() == N and not statuses["queued"] + statuses["processing"]

    statuses = await eventually(person.statuses, settled, within_s=60, every_s=0.2)
    assert not live.crash.exists()
    assert statuses["unknown"] > 0
    assert statuses["sent"] + statuses["unknown"] == LIMIT
    assert (await budget(person))["state"] == "spent"


async def test_C07_codes_pumped_to_one_block_are_stopped_within_seconds(
    person: Person, words: dict[str, Any]
):
    await pay(person)
    await person.get("PUT /analytics/budgets", {"sms_guard": {"factor": 10, "floor": 20}})
    pumped = await with_numbers(person, "+49151234", N)
    others = await with_numbers(person, "+3361234", 3)
    await person.campaign(pumped[:25], category="security", **words)
    await person.all_over(25)

    async def next_one() -> str:
        (ident,) = await person.campaign([pumped.pop()], category="security", **words)
        return await person.ends(ident)

    assert await eventually(next_one, lambda status: status == "blocked", within_s=15, every_s=0.2)
    idents = await person.campaign(pumped[:10], category="security", **words)
    assert {await person.ends(ident) for ident in idents} == {"blocked"}
    (attempt,) = await person.attempts(idents[0])
    assert attempt["rule"] == "number_block"
    elsewhere = await person.campaign(others, category="security", **words)
    assert {await person.ends(ident) for ident in elsewhere} == {"sent"}
