"""Journeys through the public API on a real instance: faults in the middle, a timeline at the end, and privacy."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.journeys import did, draw, ends, enter, mail, run_of, stands
from tests.live.support import Person, at_noon, fetch, scrape

RUNS = 20
LEASE_AND_MORE_S = 40.0
EVENT = {"type": "event", "event": "signed_up"}


async def test_each_mail_goes_out_once_though_the_worker_is_killed_in_the_middle(
    live: Live, sender: Person, sink: SmtpSink
):
    users = await sender.users(RUNS, timezone=at_noon())
    pause = {"type": "delay", "duration": "1s"}
    journey_id = await draw(sender, mail("greeting"), pause, mail("thanks"), trigger=EVENT)
    for name in users:
        await did(sender, name, "signed_up")
    runs = [await run_of(sender, journey_id, name) for name in users]
    live.instance.signal("worker", signal.SIGKILL)
    await live.well()

    async def statuses() -> Counter[str]:
        shown = [await sender.get(f"GET /journeys/{journey_id}/instances/{run}") for run in runs]
        return Counter(one["status"] for one in shown)

    over = await eventually(statuses, lambda found: not found["active"], within_s=LEASE_AND_MORE_S)
    assert over == {"completed": RUNS}
    report = await eventually(
        lambda: sink.report(by_recipient=True),
        lambda seen: seen.received == 2 * RUNS,
        within_s=LEASE_AND_MORE_S,
    )
    assert report.by_recipient == {f"{name}@example.org": 2 for name in users}
    shown = await ends(sender, journey_id, runs[0])
    assert [entry["step"] for entry in shown["timeline"] if entry["what"] == "asked"] == [
        "greeting",
        "thanks",
    ]


async def test_a_user_erased_in_mid_journey_gets_nothing_more(live: Live, sender: Person, sink: SmtpSink):
    await sender.users(2, timezone=at_noon())
    wait = {"id": "pause", "type": "wait", "event": "nothing", "timeout": "2s", "on_timeout": "thanks"}
    journey_id = await draw(sender, wait, mail("thanks"))
    hers, other = [await enter(sender, journey_id, name, secret="word") for name in ("user-0", "user-1")]
    await stands(sender, journey_id, hers, "pause")
    asked = await sender.get("POST /compliance/erasures", {"user_id": "user-0"})

    async def erasure() -> dict[str, Any]:
        return await sender.get(f"GET /compliance/erasures/{asked['erasure_id']}")

    done = await eventually(erasure, lambda one: one["status"] == "completed")
    removed = {store["target"]: store["removed"] for store in done["stores"]}
    assert removed["global.journeys"] == {"runs": 1, "histories": 1}
    assert removed["postgres.journeys"]["contexts"] >= 1
    assert (await ends(sender, journey_id, other))["status"] == "completed"
    report = await eventually(lambda: sink.report(by_recipient=True), lambda seen: seen.received > 0)
    assert report.by_recipient.keys() == {"user-1@example.org"}
    left = await fetch(
        live.instance,
        "SELECT count(*) AS n FROM journey_contexts WHERE tenant_id = $1::uuid",
        sender.tenant_id,
    )
    assert left[0]["n"] == 0


async def test_what_journeys_do_is_counted_and_put_on_the_log(live: Live, person: Person):
    await person.users(1, timezone=at_noon())
    journey_id = await draw(person, mail("greeting"))
    before = await _told(live)
    run = await enter(person, journey_id, "user-0")
    await ends(person, journey_id, run)
    after = await eventually(lambda: _told(live), lambda told: told > before)
    assert after > before


async def _told(live: Live) -> float:
    """Ends of runs that the worker has put on the log."""
    metrics = await scrape(live.metrics_port)
    return metrics.get('clarion_journey_events_total{type="completed"}', 0.0)
