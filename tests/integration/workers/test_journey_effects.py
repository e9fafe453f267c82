"""Effects of journeys over the real stores: asked for once or five times, they happen once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from clarion.bootstrap import Worker
from clarion.contracts.events import decode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.entrypoints.workers.journey_effects import open_effects
from clarion.journeys.graph import (
    FEATURES,
    PROFILE,
    STEPS,
    Entry,
    FetchSpec,
    Graph,
    NotificationSpec,
    ProfileSpec,
    StartSpec,
    Step,
    ThrottleSpec,
)
from clarion.journeys.model import Context, Outcome, Progress, Recall
from clarion.kernel.ids import format_id
from tests.integration.api.support import Caller
from tests.integration.workers.journey_support import Runs, Started

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = NotificationSpec(
    "",
    channels=("email",),
    category="transactional",
    data={"subject": "Hello", "body": "Hello {{ context.name }}"},
)


@pytest_asyncio.fixture(loop_scope="session")
async def runs(caller: Caller, worker: Worker) -> AsyncGenerator[Runs]:
    await caller.user("ada", attributes={"plan": "free", "seats": 3})
    started = Started()
    async with open_effects(worker.region, worker.broadcasts.accept, started) as parts:
        yield Runs(caller, worker, parts, started)


async def rows(runs: Runs, *columns: str) -> list[tuple[object, ...]]:
    async with runs.worker.region.pools.pipeline() as connection:
        found = await connection.fetch(
            f"SELECT {', '.join(columns)} FROM notifications WHERE tenant_id = $1 ORDER BY global_id",  # noqa: S608  the test's own words
            runs.caller.tenant_id,
        )
    return [tuple(record.values()) for record in found]


async def test_a_message_that_is_asked_for_again_is_one(runs: Runs):
    run = await runs.run()
    send = runs.send(run, HELLO)
    first = await runs.carry_out(send, send, context=Context({"name": "Ada"}))
    again = await runs.carry_out(send, context=Context({"name": "Ada"}))
    assert [done.result for done in [*first, *again] if done is not None] == ["queued"] * 3
    ((ident, journey, payload),) = await rows(runs, "notification_id", "journey_id", "payload::text")
    assert (ident, journey) == (send.notification_id, format_id(run.instance_id))
    assert "Hello Ada" in str(payload)


async def test_two_who_ask_at_once_send_one_message(runs: Runs):
    run = await runs.run()
    send = runs.send(run, HELLO)
    await asyncio.gather(*(runs.carry_out(send) for _ in range(8)))
    assert len(await rows(runs, "1")) == 1


async def test_a_repeat_that_would_decide_otherwise_changes_nothing(runs: Runs):
    """She unsubscribes, or her template goes, between the message and the repeat of its command."""
    run = await runs.run()
    send = runs.send(run, HELLO)
    await runs.carry_out(send)
    await runs.caller.call("DELETE /users/ada")
    (done,) = await runs.carry_out(send)
    assert done is not None
    assert len(await rows(runs, "1")) == 1


async def test_events_say_which_run_asked_for_their_message(runs: Runs):
    run = await runs.run()
    await runs.carry_out(runs.send(run, HELLO))
    await runs.caller.notify(journey_id="somebody@example.com")
    async with runs.worker.region.pools.pipeline() as connection:
        query = "SELECT payload FROM outbox WHERE topic = $1 ORDER BY 1"
        payloads = await connection.fetch(query, NOTIFICATION_EVENTS.name)
    told = {
        event.journey_id
        for record in payloads
        for event in decode_events(record["payload"])
        if event.tenant_id == runs.caller.tenant_id
    }
    assert told == {format_id(run.instance_id), ""}


async def test_who_may_not_be_written_to_is_blocked_in_so_many_words(runs: Runs):
    run = await runs.run()
    spec = NotificationSpec("", channels=("sms",), category="transactional", data={"body": "Hello"})
    (done,) = await runs.carry_out(runs.send(run, spec))
    assert done is not None
    assert (done.result, done.error) == ("blocked", "")
    assert done.detail


async def test_a_template_that_is_missing_skips_the_step(runs: Runs):
    run = await runs.run()
    (done,) = await runs.carry_out(runs.send(run, NotificationSpec("nobody-wrote-it")))
    assert done is not None
    assert (done.result, done.detail) == ("skipped", "no template nobody-wrote-it")


async def test_what_has_not_gone_out_is_taken_back(runs: Runs):
    run = await runs.run()
    sends = [runs.send(run, HELLO, visit) for visit in (1, 2)]
    await runs.carry_out(*sends)
    recall = Recall(run, tuple(send.notification_id for send in sends))
    assert await runs.carry_out(recall, recall) == [None, None]
    assert await rows(runs, "status") == [("cancelled",)] * 2
    (after,) = await runs.carry_out(sends[0])
    assert after is not None
    assert await rows(runs, "status") == [("cancelled",)] * 2


async def test_attributes_are_set_and_others_stay(runs: Runs):
    run = await runs.run()
    spec = ProfileSpec({"plan": "{{ context.plan }}", "seats": None, "steps": ["a"]})
    done = await runs.carry_out(runs.ask(run, spec), context=Context({"plan": "pro"}))
    assert [one.result for one in done if one is not None] == ["done"]
    user = (await runs.caller.call("GET /users/ada")).json()
    assert user["attributes"] == {"plan": "pro", "steps": ["a"]}
    assert user["email"] == "ada@example.com"


async def test_those_who_set_attributes_at_once_lose_nothing(runs: Runs):
    run = await runs.run()
    specs = [ProfileSpec({f"n{number}": number}) for number in range(5)]
    await asyncio.gather(*(runs.carry_out(runs.ask(run, spec)) for spec in specs))
    user = (await runs.caller.call("GET /users/ada")).json()
    assert user["attributes"] == {"plan": "free", "seats": 3} | {f"n{n}": n for n in range(5)}


async def test_a_throttle_gives_each_run_one_turn(runs: Runs):
    run = await runs.run()
    others = [await runs.run(journey_id=run.journey_id) for _ in range(3)]
    asks = [runs.ask(one, ThrottleSpec(2, 60_000, "journey")) for one in (run, *others)]
    waits = [done.retry_ms for done in await runs.carry_out(*asks) if done is not None]
    assert waits[:2] == [0, 0]
    assert all(59_000 < wait <= 60_000 for wait in waits[2:])
    again = [done.retry_ms for done in await runs.carry_out(*asks) if done is not None]
    assert again[:2] == [0, 0]
    assert all(0 < wait <= before for wait, before in zip(again[2:], waits[2:], strict=True))


async def test_a_throttle_whose_runs_go_elsewhere_reserves_nothing(runs: Runs):
    run = await runs.run()
    spec = ThrottleSpec(1, 200, "journey", on_limit="later")
    first, second = [runs.ask(one, spec) for one in (run, await runs.run(journey_id=run.journey_id))]
    done = await runs.carry_out(first, second)
    assert [one.retry_ms > 0 for one in done if one is not None] == [False, True]


async def test_another_journey_is_begun_under_the_effects_own_key(runs: Runs):
    run = await runs.run(is_test=True)
    ask = runs.ask(run, StartSpec("onboarding", {"from": "{{ user.plan }}"}))
    await runs.carry_out(ask)
    (start,) = runs.started.starts
    assert (start.journey, start.external_id, start.is_test) == ("onboarding", "ada", True)
    assert (start.entry_key, start.context) == (ask.effect_id, {"from": "free"})


async def test_facts_are_what_is_known_of_the_user_and_her_messages(runs: Runs):
    run = await runs.run()
    send = runs.send(run, HELLO)
    await runs.carry_out(send)
    outcome = Outcome(1, send.at_ms, "queued", 1, (send.at_ms,))
    came = await runs.run(instance_id=run.instance_id, progress=Progress(outcomes={"hello": outcome}))
    graph = Graph("g", "hello", {"hello": Step("hello", "", "", HELLO)}, Entry())
    (facts, nothing) = await runs.parts.facts.read(
        [(came, graph, PROFILE | FEATURES | STEPS), (came, graph, 0)]
    )
    assert facts.timezone == "Europe/London"
    assert facts.user["plan"] == "free"
    assert facts.user["email"] == "ada@example.com"
    assert facts.messages == {("hello", 1): "queued"}
    assert not facts.missing
    assert not nothing.user


async def test_messages_count_towards_the_tenants_day_once(runs: Runs):
    region = runs.worker.region
    async with region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE tenant_settings SET daily_quota = 2, config_version = config_version + 1 WHERE tenant_id = $1",
            runs.caller.tenant_id,
        )
    region.configs.forget(runs.caller.tenant_id)
    run = await runs.run()
    sends = [runs.send(run, HELLO, visit) for visit in (1, 2, 3)]
    for _ in range(2):
        assert [done.result for done in await runs.carry_out(sends[0]) if done is not None] == ["queued"]
    second, third = await runs.carry_out(*sends[1:])
    assert second is not None
    assert third is not None
    assert (second.error, third.final) == ("", False)
    assert third.error
    assert 0 < third.retry_ms <= 86_400_000
    assert len(await rows(runs, "1")) == 2


async def test_a_run_whose_values_cannot_be_written_stops_no_other(runs: Runs):
    run = await runs.run()
    bad = Context({"name": "\ud800", "x": "\x00", "deep": 1})
    sends = [runs.send(run, HELLO, 1), runs.send(run, HELLO, 2)]
    fetch = runs.ask(run, FetchSpec("https://example.com/{{ context.name }}"), visit=3)
    first, second, third = await runs.parts.effects.carry_out(
        [(sends[0], bad), (sends[1], Context({"name": "Ada"})), (fetch, bad)]
    )
    assert first is not None
    assert second is not None
    assert third is not None
    assert (bool(first.error), first.final) == (True, True)
    assert second.result == "queued"
    assert (bool(third.error), third.final) == (True, True)
