"""`clarion journey` against a running API: what it prints, and what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from clarion.entrypoints.cli.client import Account, ApiClient
from clarion.entrypoints.cli.journey_desk import (
    Moving,
    list_journeys,
    list_runs,
    migrate,
    roll_back,
    show_journey,
    show_run,
    steer,
)
from clarion.kernel.errors import Invalid
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST: dict[str, Any] = {
    "name": "my journey",
    "trigger": {"type": "api"},
    "steps": [{"id": "a", "type": "delay", "duration": "1d"}],
}
SECOND: dict[str, Any] = {**FIRST, "steps": [{"id": "b", "type": "delay", "duration": "1d"}]}


async def test_a_journey_is_looked_at_and_steered_from_the_command_line(
    api: Api, caller: Caller, capsys: pytest.CaptureFixture[str]
):
    async def said(work: Callable[..., None], *words: Any) -> str:
        def call() -> None:
            with ApiClient(Account(f"http://127.0.0.1:{api.port}", caller.key)) as client:
                work(client, *words)

        await asyncio.to_thread(call)
        return capsys.readouterr().out

    await caller.user()
    journey_id = (await caller.call("POST /journeys", FIRST)).json()["journey_id"]
    entered = await caller.call(f"POST /journeys/{journey_id}/trigger", {"user_id": "ada"})
    run = entered.json()["journey_instance_id"]
    await caller.call(f"PUT /journeys/{journey_id}", SECOND)

    assert "my journey" in await said(list_journeys)
    assert "active, version 2" in await said(show_journey, "my journey")
    assert run in await said(list_runs, "my journey", {"user_id": "ada", "status": "", "step": ""})
    assert await said(list_runs, "my journey", {"status": "exited"}) == ""
    assert await said(show_run, "my journey", run) == "ada: active\n"
    plan = await said(migrate, "my journey", Moving(1, steps=("a=exit",), dry_run=True))
    assert "0 at a: leaves (exit)" in plan
    assert plan.endswith("nothing was changed\n")
    begun = await said(migrate, "my journey", Moving(1, steps=("a=b",)))
    ident = begun.split()[-4]
    assert "rolling_back" in await said(roll_back, "my journey", ident)
    assert await said(steer, "my journey", "pause") == "my journey: paused, 1 active runs\n"
    with pytest.raises(Invalid):
        await said(migrate, "my journey", Moving(1, steps=("a",)))
