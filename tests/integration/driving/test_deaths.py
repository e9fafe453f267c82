"""Workers that die between any two lines, and an index that is lost: each effect of each visit happens once."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from clarion.contracts.journey_events import decode_journey_events
from clarion.journeys.effects import OWN
from clarion.journeys.model import Ask, Done, Send
from clarion.testing.journeys import FixedJourneys, KeptEffects
from clarion.testing.waiting import eventually
from tests.integration.driving.support import Dying, Killed, Track, as_uuid

RUNS = 60
DEFINITION = {
    "name": "tests",
    "steps": [
        {"id": "hello", "type": "notification", "channels": ["email"], "template": "hello"},
        {"id": "read", "type": "fetch", "url": "https://example.com/a", "into": {"score": "score"}},
        {"id": "pause", "type": "delay", "delay": 0.03},
        {"id": "tell", "type": "webhook", "url": "https://example.com/b"},
        {"id": "wait", "type": "wait", "event": "never", "timeout": 0.02},
        {"id": "which", "type": "branch", "branches": [{"if": "context.score > 3", "goto": "bye"}]},
        {"id": "lost", "type": "notification", "channels": ["email"], "template": "lost"},
        {"id": "bye", "type": "notification", "channels": ["email"], "template": "bye"},
    ],
}
STEPS = ("hello", "read", "tell", "bye")


def answer(command: Send | Ask) -> Done:
    """What the outside says: a score of 5 from the first URL."""
    data = {"score": 5} if command.step == "read" else {}
    return Done(command.step, command.visit, command.rung, "done", data=data)


async def drive_to_the_end(track: Track, journey: FixedJourneys, effects: KeptEffects, dying: Dying) -> None:
    """Workers that die and come again, until no run is active."""
    ports = track.ports(journey, effects, dying)

    async def work() -> bool:
        async def one() -> None:
            try:
                await track.move(ports, 25)
            except Killed:
                return

        await asyncio.gather(one(), one(), one())
        return not await track.instances.page_active(track.region, bytes(16), 1)

    await eventually(work, within_s=30, every_s=0.005)


async def check(track: Track, runs: list[bytes], effects: KeptEffects) -> None:
    """All runs are over, and each effect of each visit has one id."""
    assert {run.status for run in await track.load(runs)} == {"completed"}
    expected = {(run, step, 1, OWN) for run in runs for step in STEPS}
    assert set(effects.ids) == expected
    assert {len(ids) for ids in effects.ids.values()} == {1}


async def test_each_effect_happens_once_whatever_line_workers_die_at(track: Track):
    journey, effects, dying = track.journey(DEFINITION), KeptEffects(answer), Dying(seed=7)
    runs = await track.enter(journey, RUNS)
    await drive_to_the_end(track, journey, effects, dying)

    await check(track, runs, effects)
    assert set(dying.deaths) == {"advanced", "written", "committed", "carried_out", "planned"}
    # What the log was told is what happened: no event twice, none of a transition that was not committed.
    rows = await track.pool.fetch("SELECT payload FROM journey_outbox WHERE region = $1", track.region)
    events = [event for row in rows for event in decode_journey_events(row["payload"])]
    assert len({event.event_id for event in events}) == len(events)
    ended = [event.instance_id for event in events if event.type == "completed"]
    assert sorted(ended) == sorted(runs)
    counted = await track.pool.fetchval(
        "SELECT sum(n)::INT8 FROM journey_counts WHERE journey_id = $1 AND what = 'completed'",
        as_uuid(journey.record.journey_id),
    )
    assert counted == RUNS


async def test_a_lost_index_is_made_anew_from_the_truth(track: Track):
    journey, effects = track.journey(DEFINITION), KeptEffects(answer)
    runs = await track.enter(journey, RUNS)
    ports = track.ports(journey, effects, Dying(seed=8))
    with suppress(Killed):
        await track.move(ports, RUNS // 2)
    await track.lose_the_index()
    assert await track.move(ports) == 0
    await track.rebuild()
    await drive_to_the_end(track, journey, effects, Dying(seed=9))
    await check(track, runs, effects)


async def test_runs_of_a_paused_journey_stand_until_it_is_resumed(track: Track):
    journey, effects = track.journey(DEFINITION), KeptEffects(answer)
    runs = await track.enter(journey, 3)
    ports = track.ports(journey, effects)
    journey.set_status("paused")
    assert await track.move(ports) == 3
    assert await track.move(ports) == 0
    assert {run.seq for run in await track.load(runs)} == {0}
    journey.set_status("stopped")
    await track.lose_the_index()
    await track.rebuild()
    await track.move(ports)
    assert {(run.status, run.reason) for run in await track.load(runs)} == {("stopped", "journey stopped")}
    assert not effects.ids


async def test_no_index_holds_what_a_transition_changes(track: Track):
    """So PostgreSQL updates runs in their pages (HOT): a step costs one row, and no index."""
    indexed = await track.pool.fetch(
        "SELECT DISTINCT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
        " AND a.attnum = ANY(i.indkey) WHERE i.indrelid = 'journey_instances'::REGCLASS"
    )
    changed = {"version", "seq", "step", "due_ms", "progress", "context_version", "ended_ms", "reason"}
    assert not changed & {row["attname"] for row in indexed}
