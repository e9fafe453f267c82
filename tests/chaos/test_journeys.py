"""Workers and stores that die under runs of a journey: each message of each run is accepted once, and all runs end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import pytest

from clarion.testing.waiting import eventually
from tests.chaos.support import Measuring, mortal_worker
from tests.live.fixtures import LEASE_S, Live
from tests.live.support import Person, fetch

pytestmark = pytest.mark.chaos

POINTS: Final = ("advanced", "committed", "carried_out", "planned")
"""(`written` too, in tests/integration/driving: these runs learn nothing that is private.)"""

AT_A_TIME: Final = 20
STEPS: Final = ("hello", "again", "bye")


def definition(pause: str) -> dict[str, Any]:
    """Three messages, with a pause and a wait between them."""
    message = {"type": "notification", "channels": ["email"], "category": "transactional"}
    return {
        "name": "conversation",
        "steps": [
            {"id": "hello", **message, "data": {"subject": "hello", "body": "{{ context.word }}"}},
            {"id": "pause", "type": "delay", "delay": pause},
            {"id": "again", **message, "data": {"subject": "again", "body": "{{ context.word }}"}},
            {"id": "silence", "type": "wait", "event": "answered", "timeout": pause},
            {"id": "bye", **message, "data": {"subject": "bye", "body": "{{ context.word }}"}},
        ],
    }


async def enter(person: Person, journey_id: str, users: Sequence[str]) -> None:
    """Let them in, with something private to say."""
    body = {"users": [{"user_id": user, "context": {"word": user}} for user in users]}
    answer = await person.insist(f"POST /journeys/{journey_id}/trigger/batch", body)
    assert all(one.get("journey_instance_id") for one in answer["results"]), answer


async def messages(live: Live, person: Person) -> list[tuple[str, int, int]]:
    """(run, its messages, the different ones among them), of the tenant's runs."""
    rows = await fetch(
        live.instance,
        "SELECT journey_id, count(*) AS n, count(DISTINCT payload #>> '{}') AS kinds FROM notifications"
        " WHERE tenant_id::text = $1 GROUP BY journey_id",
        person.tenant_id,
    )
    return [(row["journey_id"], row["n"], row["kinds"]) for row in rows]


async def each_was_told_once(live: Live, person: Person, number: int) -> int:
    """Wait for all runs to have sent all; how many messages are too many."""

    async def look() -> list[tuple[str, int, int]]:
        try:
            return await messages(live, person)
        except (OSError, asyncpg.PostgresError):
            return []  # it is being started again

    def is_over(found: list[tuple[str, int, int]]) -> bool:
        return len(found) == number and all(n >= len(STEPS) for _, n, _ in found)

    found = await eventually(look, is_over, within_s=60, every_s=0.3)
    return sum(n - len(STEPS) for _, n, _ in found)


async def test_a_worker_killed_at_every_line_of_driving(live: Live, person: Person, measure: Measuring):
    users = await person.users(len(POINTS) * AT_A_TIME)
    journey_id = (await person.get("POST /journeys", definition("0.4s")))["journey_id"]
    measured = measure("worker killed at each line of a journey's transitions", len(users) * len(STEPS))
    async with mortal_worker(live) as worker:
        for n, point in enumerate(POINTS):
            live.crash.write_text(point)
            await enter(person, journey_id, users[n * AT_A_TIME : (n + 1) * AT_A_TIME])
            await worker.dies()
            assert not live.crash.exists()
            await worker.live()
        measured.duplicated = await each_was_told_once(live, person, len(users))
    measured.recovered()
    assert measured.duplicated == 0
    assert measured.recovery_s < len(POINTS) * 3 * LEASE_S


async def test_postgres_killed_under_runs(live: Live, person: Person, measure: Measuring):
    users = await person.users(100)
    journey_id = (await person.get("POST /journeys", definition("1s")))["journey_id"]
    await enter(person, journey_id, users)

    async def begun() -> int:
        return len(await messages(live, person))

    await eventually(begun)
    measured = measure("Postgres killed under runs of a journey", len(users) * len(STEPS))
    live.instance.signal("postgres")
    await live.well()
    measured.duplicated = await each_was_told_once(live, person, len(users))
    measured.recovered()
    assert measured.duplicated == 0
