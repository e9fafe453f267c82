"""`journey_waiting`: what Valkey needs for runs that wait: the index of when, and the state of each beside it.

The state is that of a run which has told its user something and waits for an event. What is measured is the server's
own figure of its data set, after and before.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from bench.harness import Result, finish, say
from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.journeys.advance import advance
from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.model import Done, Due, Instance, Moved, Progress, Turn
from clarion.journeys.ports import Planned
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids, split_ids
from clarion.testing.stores import shared_stores

RUNS: Final = 100_000
BATCH: Final = 1_000
BAR_MB: Final = 200
MEGABYTE: Final = 1_000_000
TENANT: Final = bytes(15) + b"\x01"
DEFINITION: Final = {
    "name": "waiting",
    "trigger": {"type": "event", "event": "signed_up"},
    "steps": [
        {"id": "welcome", "type": "notification", "channels": ["email"], "template": "welcome"},
        {"id": "first_project", "type": "wait", "event": "project_created", "timeout": "3 days"},
        {"id": "help", "type": "notification", "channels": ["email"], "template": "help"},
    ],
}


def run() -> Result:
    """Schedule them all; ask the server."""
    with tempfile.TemporaryDirectory() as folder, shared_stores(Path(folder)) as stores:
        used = asyncio.run(_measure(stores.valkey_url))
    return finish(
        Result(
            "journey_waiting",
            round(used / MEGABYTE, 1),
            "MB of Valkey",
            f"< {BAR_MB} MB for {RUNS:,} waiting runs",
            used < BAR_MB * MEGABYTE,
            detail={"runs": RUNS, "bytes_of_a_run": round(used / RUNS)},
        )
    )


async def _measure(url: str) -> int:
    clients = await connect(url)
    continuations, now_ms = ValkeyContinuations(clients, "bench"), StoreClock().now_ms()
    graph = compile_journey(DEFINITION).graph
    if graph is None:
        raise RuntimeError("the definition does not compile")
    try:
        before = await _used(clients)
        for _ in range(0, RUNS, BATCH):
            waiting = _waiting(graph, now_ms)
            await continuations.schedule(
                [Planned(one.instance_id, one.due_ms, one.seq, one) for one in waiting]
            )
        after = await _used(clients)
        held = await clients.read.execute_command("ZCARD", "journey_continuations:{bench:0}")
    finally:
        await clients.close()
    if held != RUNS:
        raise RuntimeError(f"the index holds {held} runs")
    say(f"{(after - before) / RUNS:,.0f} bytes a run")
    return after - before


def _waiting(graph: Graph, now_ms: int) -> list[Instance]:
    """Runs that have sent their first message, and wait."""
    journey_id = make_ids(1, now_ms)
    entered = [
        Instance(
            ident,
            TENANT,
            journey_id,
            1,
            int.from_bytes(os.urandom(6)),
            "us-east-1",
            is_test=False,
            status="active",
            seq=0,
            step="",
            due_ms=now_ms,
            progress=Progress(known=[os.urandom(16)]),
            context_version=1 << 40,
            entered_ms=now_ms,
        )
        for ident in split_ids(make_ids(BATCH, now_ms))
    ]
    asked = advance([Turn(one, graph, (Due(),)) for one in entered], now_ms)
    answered = advance([_answer(move, graph) for move in asked], now_ms + 5)
    if any(move.instance.step != "first_project" for move in answered):
        raise RuntimeError("a run does not wait")
    return [move.instance for move in answered]


def _answer(move: Moved, graph: Graph) -> Turn:
    return Turn(move.instance, graph, (Done("welcome", 1, -1, "queued"),))


async def _used(clients: ValkeyClients) -> int:
    """Bytes of the data set, as the server counts them."""
    told: Any = await clients.read.execute_command("INFO", "memory")
    return int(told["used_memory"])
