"""M-04, staleness of models.

Read as: a model older than two days is trained anew by itself; one older than seven is not used any more, the
defaults serve in its place, and decisions say `ml_fallback`, until a newer one serves. The specification's own text is
not in this repository.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from clarion.entrypoints.workers.trainer import TRAIN_EVERY_MS
from clarion.intelligence.models import DEFAULTS, encode_model
from clarion.intelligence.models.registered import checksum_of
from clarion.kernel.local_time import DAY_MS
from clarion.testing.waiting import eventually
from tests.live.support import Person, count, fetch, run_clarion

USERS: Final = 40
DAYS: Final = 28
OPTIMAL: Final = {"send_time": "optimal", "channel_selection": "optimal"}
OLD: Final = (
    "INSERT INTO ml_models (tenant_id, name, number, status, from_at, to_at, checksum, artefact, live_at) "
    "VALUES ($1, 'eb-1', 1, 'live', now(), now(), $2, $3, clock_timestamp())"
)


async def decision(person: Person) -> dict[str, Any]:
    """What is decided of a message whose hour is the model's to choose."""
    said = {"data": {"subject": "Hello", "body": "Hello"}, "optimization": OPTIMAL}
    sent = await person.get("POST /notifications", {"user_id": "user-0", "category": "service", **said})
    return (await person.get(f"GET /notifications/{sent['notification_id']}/trace"))["decision"]


async def lived_a_month(person: Person) -> None:
    """A month of what users did."""
    now = datetime.now(UTC)
    events = [
        {
            "user_id": f"user-{number}",
            "event": "seen",
            "timestamp": (now - timedelta(days=day, hours=number % 3)).isoformat(),
        }
        for number in range(USERS)
        for day in range(1, DAYS)
    ]
    for start in range(0, len(events), 1_000):
        await person.get("POST /events/batch", {"events": events[start : start + 1_000]})


async def test_M04_an_old_model_is_not_used_and_said_so_until_a_newer_one_serves(person: Person):
    await person.users(USERS)
    (now,) = await fetch(person.instance, "SELECT now()")
    now_ms = int(now[0].timestamp() * 1000)
    old = msgspec.structs.replace(DEFAULTS, name="eb-1", trained_ms=now_ms - 8 * DAY_MS)
    artefact = encode_model(old)
    await fetch(person.instance, OLD, person.tenant_id, checksum_of(artefact), artefact)

    async def is_flagged() -> bool:
        return bool((await decision(person))["ml_fallback"])

    await eventually(is_flagged, within_s=20)
    assert (await decision(person))["model"] == DEFAULTS.name

    await lived_a_month(person)
    trained = await run_clarion("train", "--data", person.instance.data, "--tenant", person.name, "--json")
    assert trained.code == 0, trained.stderr
    assert msgspec.json.decode(trained.stdout)["status"] == "live"

    async def is_served_by_the_newer() -> bool:
        found = await decision(person)
        return found["model"] not in {DEFAULTS.name, "eb-1"} and not found["ml_fallback"]

    await eventually(is_served_by_the_newer, within_s=20)


async def test_M04_models_are_trained_anew_before_they_are_two_days_old(person: Person):
    assert TRAIN_EVERY_MS <= 2 * DAY_MS
    ended = "SELECT count(*) FROM ml_trainings WHERE tenant_id = $1 AND ended_at IS NOT NULL"

    async def is_trained() -> bool:
        return await count(person.instance, ended, person.tenant_id) == 1

    await eventually(is_trained, within_s=40)
