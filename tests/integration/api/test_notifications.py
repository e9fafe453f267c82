from __future__ import annotations

import pytest

from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_notification_is_accepted_and_can_be_read_back(caller: Caller):
    await caller.user()
    accepted = await caller.notify(metadata={"order": 1815})
    read = await caller.call(f"GET /notifications/{accepted['notification_id']}")
    assert read.status == 200
    shown = read.json()
    assert shown["status"] == accepted["status"] == "queued"
    assert shown["metadata"] == {"order": 1815}
    assert [d["channel"] for d in shown["deliveries"]] == ["email"]
