"""A message that kills each worker that takes it: it ends as a dead letter, and its neighbours are delivered."""

from __future__ import annotations

import os
import signal
from typing import Any, Final
from uuid import UUID

import pytest

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import IN_FLIGHT, Measuring
from tests.live.fixtures import Live
from tests.live.support import Person, count, fetch, ledger_holds, scrape

N: Final = 60
UNREADABLE: Final = """
WITH receipts AS (INSERT INTO receipt_inbox (provider, receipts, payload) VALUES ('poison', 1, 'rubbish'))
INSERT INTO outbox (topic, events, payload) VALUES ('poison', 1, 'rubbish')
"""
PARKED: Final = "SELECT count(*) FROM parked_messages WHERE origin = 'poison'"

pytestmark = pytest.mark.chaos


async def test_a_message_that_kills_its_workers_is_buried_and_its_neighbours_are_delivered(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring
):
    users = await sender.users(N)
    worker = live.instance.signal("worker", signal.SIGSTOP)
    *neighbours, poison = await sender.campaign(users)
    live.crash.write_text(f"poison {UUID(poison).hex}")
    await fetch(live.instance, UNREADABLE)
    measured = measure("a message kills its workers", N - 1, IN_FLIGHT)
    os.kill(worker, signal.SIGCONT)

    statuses = await sender.all_over(N, within_s=90.0)

    live.crash.unlink()
    measured.recovered()
    assert statuses == {"sent": N - 1, "failed": 1}
    letters: list[dict[str, Any]] = (await sender.get("GET /dead-letters"))["dead_letters"]
    assert [(one["notification_id"], one["reason"], one["crashes"]) for one in letters] == [
        (poison, "crashed_workers", 3)
    ]
    assert await sender.status(poison) == "failed"
    assert {await sender.status(ident) for ident in neighbours[:3]} == {"sent"}
    measured.settle(await sink.report())
    assert await ledger_holds(live.instance.data)

    await eventually(lambda: count(live.instance, PARKED), lambda parked: parked == 2)
    shown = await scrape(live.metrics_port)
    assert shown['clarion_dead_letters_total{reason="crashed_workers"}'] == 1
    await fetch(live.instance, "DELETE FROM parked_messages WHERE origin = 'poison'")

    # Whatever it was is mended: the same delivery goes out, once, and the books still balance.
    told = await sender.insist("POST /dead-letters/redrive", {"ids": [letters[0]["delivery_id"]]})
    assert told["redriven"] == 1
    await sink.wait_for(N)
    assert await sender.all_over(N) == {"sent": N}
    assert await ledger_holds(live.instance.data)
