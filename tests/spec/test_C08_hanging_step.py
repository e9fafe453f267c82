"""C-08, a step that hangs.

Read as: a step of a journey that asks a server which never answers, or answers a byte at a time, is given up after the
step's own time-out; the run then goes on, or ends, as its `on_error` says; and nobody else's journeys wait for it
meanwhile. The specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest_asyncio

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person, at_noon

TIMEOUT_S = 1
OTHERS = 10


@pytest_asyncio.fixture
async def hanging() -> AsyncGenerator[str]:
    """The address of a server that answers a byte now and then, and never comes to an end."""
    over = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not over.is_set():
                writer.write(b" ")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.1)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    over.set()
    server.close()
    await server.wait_closed()


async def journey(person: Person, name: str, *steps: dict[str, Any]) -> str:
    """A journey of these steps with a message behind them; its id."""
    message = {"id": "message", "type": "notification", "channels": ["email"], "template": "greeting"}
    body = {"name": name, "trigger": {"type": "api"}, "steps": [*steps, message]}
    return (await person.get("POST /journeys", body))["journey_id"]


async def enter(person: Person, journey_id: str, user_id: str) -> str:
    """The run of a user."""
    body = {"user_id": user_id}
    return (await person.get(f"POST /journeys/{journey_id}/trigger", body))["journey_instance_id"]


async def ends(person: Person, journey_id: str, run: str) -> str:
    """How a run ends."""

    async def status() -> str:
        return (await person.get(f"GET /journeys/{journey_id}/instances/{run}"))["status"]

    return await eventually(status, lambda one: one != "active")


def fetch(url: str, on_error: str) -> dict[str, Any]:
    return {
        "id": "look-up",
        "type": "fetch",
        "url": url,
        "timeout": f"{TIMEOUT_S}s",
        "retries": 0,
        "on_error": on_error,
    }


async def test_C08_a_step_that_hangs_is_given_up_and_the_run_goes_on(
    sender: Person, sink: SmtpSink, hanging: str
):
    await sender.template()
    await sender.users(OTHERS + 2, timezone=at_noon())
    goes_on = await journey(sender, "goes on", fetch(hanging, "skip"))
    leaves = await journey(sender, "leaves", fetch(hanging, "exit"))
    others = await journey(sender, "others")
    began = time.monotonic()
    skipped, left = await enter(sender, goes_on, "user-0"), await enter(sender, leaves, "user-1")
    beside = [await enter(sender, others, f"user-{n + 2}") for n in range(OTHERS)]

    for run in beside:
        assert await ends(sender, others, run) == "completed"
    assert await ends(sender, goes_on, skipped) == "completed"
    assert await ends(sender, leaves, left) == "exited"
    assert time.monotonic() - began > TIMEOUT_S
    written = await eventually(
        lambda: sink.report(by_recipient=True), lambda report: report.received == OTHERS + 1
    )
    assert "user-0@example.org" in written.by_recipient
    assert "user-1@example.org" not in written.by_recipient
