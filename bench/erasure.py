"""`erasure`: from the request to the certificate, of a user who got NOTIFICATIONS messages.

All through the real API and a worker: her messages are accepted and sent, then she is erased. The span is what a
client sees: from before the request to the first answer that has the certificate.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import Result, finish, post_all, raw_request, run_in_process, say
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR_S: Final = 10.0
NOTIFICATIONS: Final = int(os.environ.get("CLARION_BENCH_ERASURE", "10000"))
BATCH: Final = 1000
CONTENT: Final = "what only she was told"


class _Run(msgspec.Struct, frozen=True):
    """Seconds to the certificate, what was removed by store, and how many rows still say what she was told."""

    seconds: float
    removed: dict[str, dict[str, int]]
    left: int


def run() -> Result:
    """Erase a user with NOTIFICATIONS messages behind her."""
    with clarion_up() as instance:
        outcome: _Run = run_in_process(_measure, instance)
    cleared = outcome.removed["postgres.notifications"]["notifications"]
    say(
        f"the certificate came after {outcome.seconds:.1f} s; {cleared} notifications cleared, {outcome.left} left"
    )
    return finish(
        Result(
            "erasure",
            round(outcome.seconds, 2),
            "s",
            f"≤ {BAR_S:g} s for a user with {NOTIFICATIONS} notifications, nothing left",
            outcome.seconds <= BAR_S and cleared == NOTIFICATIONS and not outcome.left,
            detail={"notifications": NOTIFICATIONS, "removed": outcome.removed},
        )
    )


def _measure(instance: Instance) -> _Run:
    return asyncio.run(_erase(instance))


async def _erase(instance: Instance) -> _Run:
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    message = {"user_id": "ada", "category": "transactional", "data": {"subject": "Hello", "body": CONTENT}}
    requests = [
        raw_request(instance, "PUT", "/api/v1/users/ada", {"email": "ada@example.org"}),
        *(
            raw_request(
                instance,
                "POST",
                "/api/v1/notifications/batch",
                {"notifications": [message] * min(BATCH, NOTIFICATIONS - start)},
            )
            for start in range(0, NOTIFICATIONS, BATCH)
        ),
    ]
    await post_all(instance, requests, 1)
    await eventually(lambda: _count(instance, "open_deliveries"), (0).__eq__, within_s=300, every_s=0.5)
    began = time.perf_counter()
    asked = await client.request("POST /api/v1/compliance/erasures", {"user_id": "ada"})
    path = f"GET /api/v1/compliance/erasures/{asked.json()['erasure_id']}"

    async def show() -> dict[str, Any]:
        return (await client.request(path)).json()

    shown = await eventually(show, lambda one: one["certificate"] is not None, within_s=120, every_s=0.05)
    seconds = time.perf_counter() - began
    removed = {one["target"]: one["removed"] for one in shown["stores"]}
    return _Run(seconds, removed, await _count(instance, f"notifications n WHERE n::text LIKE '%{CONTENT}%'"))


async def _count(instance: Instance, rows: str) -> int:
    connection = await asyncpg.connect(instance.database_url)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {rows}"))  # noqa: S608  rows named above
    finally:
        await connection.close()
