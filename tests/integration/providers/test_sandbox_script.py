"""A sandbox with a script: its faults come and go in their time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from clarion.adapters.providers.sandbox import SandboxProvider, build_sandbox
from clarion.delivery.model import AUTH_CODE
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside
from clarion.testing.providers import ListSink
from tests.integration.providers.support import TENANT, email, send_one

Build = Callable[..., SandboxProvider]


@pytest.fixture
def receipts() -> ListSink:
    return ListSink()


@pytest_asyncio.fixture
async def build(clock: ManualClock, receipts: ListSink) -> AsyncGenerator[Build]:
    made: list[SandboxProvider] = []

    def make(*script: dict[str, Any], **settings: Any) -> SandboxProvider:
        config = ProviderConfig("box", TENANT, "sandbox", "email", {**settings, "script": list(script)}, {})
        made.append(build_sandbox(config, outside(clock, receipts)))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


async def kinds_over(provider: SandboxProvider, clock: ManualClock, *steps_s: float) -> list[str]:
    kinds = [(await send_one(provider)).kind]
    for step_s in steps_s:
        clock.advance(step_s)
        kinds.append((await send_one(provider)).kind)
    return kinds


async def test_its_phases_follow_each_other_and_leave_the_settings_as_they_were(
    build: Build, clock: ManualClock
):
    provider = build({"for_s": 10}, {"for_s": 5, "error_rate": 1}, {"for_s": 5, "permanent_rate": 1})
    told = await kinds_over(provider, clock, 9.9, 0.2, 4.7, 0.3, 4.7, 0.3, 1000)
    assert told == ["sent", "sent", "transient", "transient", "permanent", "permanent", "sent", "sent"]


async def test_it_may_begin_again(build: Build, clock: ManualClock):
    provider = build({"for_s": 1}, {"for_s": 1, "error_rate": 1}, script_repeats=True)
    assert await kinds_over(provider, clock, 1, 1, 1, 1000) == [
        "sent",
        "transient",
        "sent",
        "transient",
        "transient",
    ]


async def test_processes_agree_where_it_begins_at_an_instant(build: Build, clock: ManualClock):
    begins = datetime.fromtimestamp(clock.now_ms() / 1000, UTC) + timedelta(seconds=5)
    told = {"script_starts_at": begins.isoformat()}
    one, other = (build({"for_s": 10, "error_rate": 1}, **told) for _ in range(2))
    assert await kinds_over(one, clock, 5) == ["sent", "transient"]
    assert (await send_one(other)).kind == "transient", "although this is the first call that it gets"
    clock.advance(10)
    assert (await send_one(other)).kind == "sent"


async def test_a_phase_throttles_by_itself(build: Build, clock: ManualClock):
    provider = build({"for_s": 10, "throttle_per_s": 2}, {"for_s": 10})
    kinds = [outcome.kind for outcome in await provider.send([email() for _ in range(4)])]
    assert kinds == ["sent", "sent", "throttled", "throttled"]
    clock.advance(10)
    assert {outcome.kind for outcome in await provider.send([email() for _ in range(4)])} == {"sent"}


async def test_refused_credentials_are_said_to_be_refused(build: Build):
    outcome = await send_one(build({"for_s": 10, "refuses": True}))
    assert (outcome.kind, outcome.code) == ("transient", AUTH_CODE)


async def test_what_hangs_is_ambiguous_when_the_caller_gives_up(build: Build):
    (outcome,) = await build({"for_s": 10, "hangs": True}).send([email()], within_s=0.01)
    assert (outcome.kind, outcome.code) == ("ambiguous", "deadline")


async def test_receipts_come_as_the_phase_says(build: Build, clock: ManualClock, receipts: ListSink):
    provider = build({"for_s": 10, "receipts": "delivered", "receipt_delay_ms": 60_000}, {"for_s": 10})
    slow = email()
    await provider.send([slow])
    clock.advance(10)
    await provider.send([email()])
    assert receipts.receipts == []
    await provider.close()
    assert [receipt.delivery_id for receipt in receipts.receipts] == [slow.delivery_id]


async def test_a_shorter_delay_is_not_held_up_by_a_longer_one(
    build: Build, clock: ManualClock, receipts: ListSink
):
    provider = build(
        {"for_s": 10, "receipt_delay_ms": 60_000}, {"for_s": 10, "receipt_delay_ms": 0}, receipts="delivered"
    )
    quick = email()
    await provider.send([email()])
    clock.advance(10)
    await provider.send([quick])
    assert [receipt.delivery_id for receipt in await receipts.received(1)] == [quick.delivery_id]


@pytest.mark.parametrize(
    ("phase", "path"),
    [
        ({"for_s": 0}, "settings.script[0].for_s"),
        ({"for_s": float("inf")}, "settings.script[0].for_s"),
        ({}, "settings.script[0].for_s"),
        ({"for_s": 1, "error_rate": 2}, "settings.script[0].error_rate"),
        ({"for_s": 1, "transient_rate": 0.6, "permanent_rate": 0.6}, "settings.script[0]"),
        ({"for_s": 1, "explodes": True}, "settings.script[0].explodes"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_with_its_path(phase: dict[str, Any], path: str):
    config = ProviderConfig("box", TENANT, "sandbox", "email", {"script": [{"for_s": 1}]}, {})
    config.settings["script"] = [phase]
    with pytest.raises(Invalid) as refusal:
        build_sandbox(config, outside(ManualClock(), ListSink()))
    assert refusal.value.path == path
