"""What other policies would bring, by decisions that the product made and kept itself, in a world that is known."""

from __future__ import annotations

from typing import Any, Final

import pytest

from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.bootstrap import Worker
from clarion.entrypoints.proving import prove_tenant
from clarion.kernel.local_time import DAY_MS
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

USERS: Final = 1_000
ROUNDS: Final = 6
EMAIL, SMS = 0.1, 0.3
"""Of messages, the shares that are answered by channel."""

_ANSWER: Final = """
UPDATE notifications SET sent_at = created_at, status = 'sent',
    engaged_at = CASE WHEN abs(hashtextextended(notification_id::text, 7)) % 1000
        < CASE channel WHEN 'sms' THEN $3::int ELSE $2::int END THEN created_at + interval '1 hour' END
WHERE tenant_id = $1
"""


async def live(worker: Worker, caller: Caller) -> None:
    """Thousands of decisions, half of which try something, and what came of them."""
    settings = {"exploration": 0.5, "holdout": {"send_time": 0.0, "channel": 0.0}}
    assert (await caller.call("PUT /ml/settings", settings)).status == 200
    users = [
        {"user_id": f"u{nth}", "email": f"u{nth}@example.com", "phone": "+442079460123", "timezone": "UTC"}
        for nth in range(USERS)
    ]
    assert (await caller.call("POST /users/batch", {"users": users})).status == 200
    said: dict[str, Any] = {"category": "service", "data": {"subject": "Hi", "body": "Hi"}}
    body = {
        "notifications": [
            {"user_id": user["user_id"], **said, "optimization": {"send_time": "optimal"}} for user in users
        ]
    }
    for _ in range(ROUNDS):
        assert (await caller.call("POST /notifications/batch", body)).status in {200, 201, 202, 207}
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(_ANSWER, caller.tenant_id, round(EMAIL * 1000), round(SMS * 1000))


async def test_what_is_planted_lies_inside_the_intervals_and_is_shown(
    worker: Worker, caller: Caller, other: Caller
):
    await live(worker, caller)
    await prove_tenant(worker.region, caller.tenant_id, worker.clock.now_ms() + 4 * DAY_MS)
    shown = (await caller.call("GET /ml/lift")).json()["policies"]
    assert shown["tried"] > USERS
    assert shown["decisions"] > 2 * shown["tried"] * 0.8
    found = {value["policy"]: value for value in shown["policies"]}
    for name, truth in (("always email", EMAIL), ("always sms", SMS)):
        assert found[name]["low"] < truth < found[name]["high"], name
        assert found[name]["estimate"]["ess"] > 500
    assert found["always push"]["estimate"] is None, "nobody has a device"
    assert found["best fixed: always sms"]["low"] > found["always email"]["high"]
    assert found["served"]["estimate"]["rows"] == shown["decisions"]
    assert (await other.call("GET /ml/lift")).json()["policies"] is None


async def test_open_windows_and_held_out_users_say_nothing(worker: Worker, caller: Caller):
    await live(worker, caller)
    proofs, now_ms = PostgresProofs(worker.region.pools), worker.clock.now_ms()
    assert not (await proofs.decisions(caller.tenant_id, 0, now_ms - DAY_MS)).answered.size
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE notifications SET decision = jsonb_set(decision, '{decision,holdout}', '1') WHERE tenant_id = $1",
            caller.tenant_id,
        )
    assert not (await proofs.decisions(caller.tenant_id, 0, now_ms + DAY_MS)).answered.size
