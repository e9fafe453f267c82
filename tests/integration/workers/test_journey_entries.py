"""Users enter of themselves, and runs hear what their users do: over the real stores, in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.audience.events import EventProperties
from clarion.bootstrap import Worker
from clarion.contracts.user_events import UserEvent
from clarion.entrypoints.journeying import (
    JourneyParts,
    RunStarter,
    build_journeys,
    open_facts,
    trigger_ports,
)
from clarion.entrypoints.workers.journey_effects import open_effects
from clarion.entrypoints.workers.journey_entries import let_in, round_ports
from clarion.entrypoints.workers.journeys import engine_ports
from clarion.journeys.drive import drive
from clarion.journeys.entries import DATE_EVERY_MS, SEGMENT_EVERY_MS, RoundPorts
from clarion.journeys.listen import Heard, ListenPorts, hear_events
from clarion.journeys.model import Due, Instance
from clarion.journeys.trigger import Begun, EntryAsk, trigger
from clarion.kernel.errors import Conflict, NotFound, Refused, Unknown
from clarion.kernel.ids import format_id, parse_id
from clarion.tenancy.model import TenantEntry
from clarion.testing.clock import ManualClock
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR_MS = 3_600_000
WAIT: dict[str, Any] = {"id": "bought", "type": "wait", "event": "purchase", "timeout": "30d"}


@dataclass
class Trip:
    """A tenant's journeys, worked off when the test says so. `clock`: that of rounds."""

    caller: Caller
    worker: Worker
    parts: JourneyParts
    listen: ListenPorts
    rounds: RoundPorts
    clock: ManualClock

    async def draw(self, trigger: dict[str, Any], *steps: dict[str, Any], **fields: Any) -> str:
        """A journey of hers; its id."""
        body = {"name": "journey", "trigger": trigger, "steps": steps or [WAIT], **fields}
        answer = await self.caller.call("POST /journeys", body)
        assert answer.status == 201, answer.body
        self.parts.catalog.forget(self.caller.tenant_id)
        return str(answer.json()["journey_id"])

    async def number(self, name: str) -> int:
        """A user's number."""
        return (await self.worker.region.users.find_ids(self.caller.tenant_id, [name]))[name]

    async def runs(self, *names: str) -> list[Instance]:
        """The active runs of users."""
        numbers = [await self.number(name) for name in names]
        return await self.parts.instances.active_of(self.caller.tenant_id, numbers)

    async def event(self, user_id: str, name: str, **properties: Any) -> UserEvent:
        """What a user did, recorded, as the log has it."""
        body = {"user_id": user_id, "event": name, "properties": properties}
        answer = await self.caller.call("POST /events", body)
        assert answer.status == 202, answer.body
        ident = parse_id(answer.json()["event_id"])
        assert ident is not None
        now_ms = self.worker.clock.now_ms()
        return UserEvent(ident, name, now_ms, self.caller.tenant_id, await self.number(user_id), now_ms)

    async def hear(self, *events: UserEvent) -> Heard:
        """Tell journeys of events."""
        return await hear_events(events, self.listen)

    async def settle(self, *names: str) -> None:
        """Take users' runs as far as they go."""
        reached = {run.instance_id: (Due(),) for run in await self.runs(*names)}
        await drive(reached, self.listen.engine)

    async def later(self, ms: int) -> None:
        """Let time pass for rounds, then work off what is due of them."""
        self.clock.advance(ms / 1000)
        while not await let_in(self.rounds):
            pass

    async def ask(self, journey: str, name: str = "ada", **fields: Any) -> Any:
        """What comes of an entry."""
        (result,) = await trigger(
            [EntryAsk(self.caller.tenant_id, journey, name, **fields)], self.listen.entry
        )
        return result


@pytest_asyncio.fixture(loop_scope="session")
async def trip(worker: Worker, caller: Caller) -> AsyncGenerator[Trip]:
    region = worker.region
    await GlobalTenants(worker.global_pool).register(
        TenantEntry(caller.tenant_id, format_id(caller.tenant_id), region.settings.region)
    )
    parts = build_journeys(region, worker.global_pool)
    entry = trigger_ports(parts, region, open_facts(region))
    clock = ManualClock(worker.clock.now_ms())
    async with open_effects(region, worker.broadcasts.accept, RunStarter(entry)) as effects:
        listen = ListenPorts(
            engine_ports(parts, worker, effects),
            entry,
            EventProperties(region.events, region.keyring, region.sealer),
        )
        rounds = round_ports(worker, replace(entry, clock=clock))
        await caller.user("ada", attributes={"plan": "pro"})
        yield Trip(caller, worker, parts, listen, rounds, clock)


async def test_an_event_lets_in_whom_it_matches_once(trip: Trip):
    await trip.draw({"type": "event", "event": "left", "match": "event.amount > 10"})
    small, large = await trip.event("ada", "left", amount=5), await trip.event("ada", "left", amount=50)
    assert await trip.hear(small) == Heard(0, 0)
    assert await trip.hear(large, large) == Heard(0, 1)
    assert await trip.hear(large) == Heard(0, 0)
    (run,) = await trip.runs("ada")
    assert run.progress.known == [large.event_id]


async def test_the_event_that_let_her_in_is_not_the_one_that_she_waits_for(trip: Trip):
    await trip.draw({"type": "event", "event": "purchase"}, WAIT)
    await trip.hear(await trip.event("ada", "purchase"))
    await trip.settle("ada")
    (run,) = await trip.runs("ada")
    assert run.step == "bought"

    await trip.hear(await trip.event("ada", "purchase"))
    assert not [one for one in await trip.runs("ada") if one.instance_id == run.instance_id]


async def test_events_in_any_order_and_twice_count_once(trip: Trip):
    digest = {"id": "seen", "type": "digest", "event": "seen", "window": "30d"}
    journey = await trip.draw({"type": "api"}, digest)
    await trip.ask(journey)
    await trip.settle("ada")
    first, second = await trip.event("ada", "seen", n=1), await trip.event("ada", "seen", n=2)
    older = replace(first, at_ms=first.at_ms - HOUR_MS)
    await trip.hear(second, older)
    await trip.hear(older, second)
    (run,) = await trip.runs("ada")
    assert run.progress.seen["seen"].count == 2
    assert run.progress.seen["seen"].first_ms == older.at_ms


async def test_an_event_of_somebody_erased_lets_nobody_in(trip: Trip):
    await trip.draw({"type": "event", "event": "left"})
    event = await trip.event("ada", "left")
    assert (await trip.caller.call("DELETE /users/ada")).status in {200, 202, 204}
    assert await trip.hear(event) == Heard(0, 0)
    assert await trip.hear(replace(event, event_id=b"1" * 16, user_id=1)) == Heard(0, 0)


async def test_who_may_not_enter_is_told_why(trip: Trip):
    journey = await trip.draw({"type": "api"}, audience_rules='user.plan == "free"')
    assert isinstance(await trip.ask("nowhere"), NotFound)
    assert isinstance(await trip.ask(journey, "nobody"), Unknown)
    assert isinstance(await trip.ask(journey), Refused)
    await trip.caller.user("bea", attributes={"plan": "free"})
    assert isinstance(await trip.ask("journey", "bea"), Begun)

    await trip.caller.call(f"POST /journeys/{journey}/drain")
    trip.parts.catalog.forget(trip.caller.tenant_id)
    drained = await trip.ask(journey, "bea")
    assert isinstance(drained, Conflict)
    assert "resume" in drained.detail


async def test_a_journey_for_a_segment_takes_its_members_only(trip: Trip):
    audience = {"segment": "paying"}
    journey = await trip.draw({"type": "api"}, audience_rules=audience)
    assert isinstance(await trip.ask(journey), Conflict)
    await trip.caller.call("PUT /segments/paying", {"expression": 'user.plan == "pro"'})
    await trip.caller.user("bea", attributes={"plan": "free"})
    assert isinstance(await trip.ask(journey, "bea"), Refused)
    assert isinstance(await trip.ask(journey), Begun)


@pytest.mark.parametrize(
    ("policy", "second"), [("never", Refused), ("always", Begun), ("30d", Refused), ("one_at_a_time", Begun)]
)
async def test_policies_of_a_second_entry(trip: Trip, policy: str, second: type):
    goal = {"id": "there", "type": "goal", "name": "there"}
    journey = await trip.draw({"type": "api"}, goal, settings={"reentry": policy})
    assert isinstance(await trip.ask(journey), Begun)
    await trip.settle("ada")
    assert isinstance(await trip.ask(journey), second)


async def test_who_comes_into_a_segment_enters_and_who_was_there_does_not(trip: Trip):
    await trip.caller.call("PUT /segments/paying", {"expression": 'user.plan == "pro"'})
    await trip.draw({"type": "segment", "segment": "paying"})
    for name in ("bea", "eve"):
        await trip.caller.user(name, attributes={"plan": "free"})
    await trip.later(0)
    await trip.caller.user("bea", attributes={"plan": "pro"})
    await trip.later(SEGMENT_EVERY_MS)
    assert [run.user_id for run in await trip.runs("ada", "bea", "eve")] == [await trip.number("bea")]

    await trip.hear(await trip.event("bea", "nothing"))
    await trip.later(SEGMENT_EVERY_MS)
    assert len(await trip.runs("ada", "bea", "eve")) == 1


async def test_a_schedule_lets_the_members_of_its_segment_in_at_its_time(trip: Trip):
    await trip.caller.call("PUT /segments/paying", {"expression": 'user.plan == "pro"'})
    await trip.caller.user("bea", attributes={"plan": "free"})
    await trip.draw({"type": "schedule", "cron": "0 * * * *", "segment": "paying", "timezone": "UTC"})
    await trip.later(0)
    assert not await trip.runs("ada", "bea")
    await trip.later(HOUR_MS)
    assert [run.user_id for run in await trip.runs("ada", "bea")] == [await trip.number("ada")]


async def test_a_date_lets_its_user_in_when_it_comes(trip: Trip):
    await trip.draw({"type": "date", "attribute": "trial_ends_at", "offset": "-3d"})
    ends_ms = trip.clock.now_ms() + 3 * 24 * HOUR_MS + 60_000
    await trip.caller.user("bea", attributes={"trial_ends_at": ends_ms})
    await trip.later(0)
    assert not await trip.runs("ada", "bea")
    await trip.later(DATE_EVERY_MS)
    assert [run.user_id for run in await trip.runs("ada", "bea")] == [await trip.number("bea")]
    await trip.later(DATE_EVERY_MS)
    assert len(await trip.runs("ada", "bea")) == 1
