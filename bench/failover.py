"""`failover`: a broadcast through two accounts of SendGrid, one standing by, while the other is killed in the middle.

Each account's vendor is a double in a process of its own, which holds every call against SendGrid's schema and writes
down what it took before it answers. When half of the broadcast is sent, the first is killed with SIGKILL: calls are cut
at whatever point they had reached, and its port is closed from then on. Counted is what arrived, by what the vendors
wrote down; and how much later a message was sent because of the death, by its own log of attempts.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import Result, finish, percentile, post_all, raw_request, run_in_process, say
from clarion.kernel.ids import UUID_BYTES
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.vendors.sendgrid import API_KEY

COUNT: Final = int(os.environ.get("BENCH_FAILOVER", "100000"))
BAR_S: Final = 2.0
USERS_BATCH: Final = 1_000
POLL_S: Final = 0.1
TIMEOUT_S: Final = 300.0
TEMPLATE: Final = {
    "category": "transactional",
    "channels": {
        "email": {
            "subject": "Your order {{ data.order }}",
            "html": "<p>Hello {{ user.first_name }}, your order {{ data.order }} is on its way.</p>",
        }
    },
}

_LOGS: Final = "SELECT attempt_log, status FROM notifications WHERE attempt_log IS NOT NULL"


class Vendor(msgspec.Struct):
    """A vendor's process, and where it writes down what it takes."""

    process: subprocess.Popen[str]
    url: str
    file: Path

    def taken(self) -> Counter[bytes]:
        """How often it took each delivery."""
        raw = self.file.read_bytes()
        return Counter(raw[i : i + UUID_BYTES] for i in range(0, len(raw), UUID_BYTES))


class Course(msgspec.Struct, frozen=True):
    """What was seen.

    `waits`: seconds from the first failure to the send, of those that failed; `unsure`: of those of
    which it was open whether they had been sent.
    """

    seconds: float
    books: dict[str, int]
    died_at: int
    waits: list[float]
    unsure: list[float]


def run() -> Result:
    """One broadcast, one death."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _vendor(Path(folder) / "first") as first,
        _vendor(Path(folder) / "second") as second,
        clarion_up(None, _SETTINGS) as instance,
    ):
        run_in_process(_prepare, instance, first.url, second.url)
        course = asyncio.run(_watch_it_die(instance, first))
        arrived = first.taken() + second.taken()
    return _judge(course, arrived)


_SETTINGS: Final = {"CLARION_EGRESS_ALLOW": "127.0.0.0/8"}


def _judge(course: Course, arrived: Counter[bytes]) -> Result:
    doubled = arrived.total() - len(arrived)
    lost = COUNT - len(arrived)
    # The stricter of two readings: of those that the death delayed, and not of all.
    p99 = percentile(course.waits, 0.99) if course.waits else 0.0
    ok = lost == 0 and course.books["sent"] == COUNT and doubled <= len(course.unsure) and p99 < BAR_S
    say(
        f"lost {lost}, doubled {doubled} of {len(course.unsure)} under way, {len(course.waits):,} failed over"
    )
    return finish(
        Result(
            "failover",
            round(p99, 3),
            "s added, p99 of those that failed over",
            f"0 lost, doubled ≤ under way, p99 added < {BAR_S:g} s",
            ok,
            p50_ms=round(percentile(course.waits, 0.5) * 1000, 1) if course.waits else None,
            p99_ms=round(percentile(course.waits, 0.99) * 1000, 1) if course.waits else None,
            detail={
                "sends": COUNT,
                "lost": lost,
                "doubled": doubled,
                "under_way_at_the_death": len(course.unsure),
                "failed_over": len(course.waits),
                "sent_when_it_died": course.died_at,
                "per_s": round(COUNT / course.seconds),
                "latency_is": "from a message's first failure to its send, of those that failed",
            },
        )
    )


@contextmanager
def _vendor(file: Path) -> Generator[Vendor]:
    command = [sys.executable, "-m", "bench.mortal", str(file)]
    file.touch()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the vendor has no pipe")
        yield Vendor(process, process.stdout.readline().strip(), file)
    finally:
        process.kill()
        process.wait()


def _prepare(instance: Instance, first: str, second: str) -> None:
    requests = [raw_request(instance, "PUT", "/api/v1/templates/order", TEMPLATE)]
    for name, url, weight in (("first", first, 1), ("second", second, 0)):
        account = {
            "kind": "sendgrid",
            "channel": "email",
            "settings": {"base_url": url, "from": "Shop <news@shop.example>"},
            "credentials": {"api_key": API_KEY},
            "weight": weight,
        }
        requests.append(raw_request(instance, "PUT", f"/api/v1/providers/{name}", account))
    for start in range(0, COUNT, USERS_BATCH):
        users = [_user(number) for number in range(start, min(start + USERS_BATCH, COUNT))]
        requests.append(raw_request(instance, "POST", "/api/v1/users/batch", {"users": users}))
    asyncio.run(post_all(instance, requests, 2))
    say(f"{COUNT:,} users are there")


def _user(number: int) -> dict[str, Any]:
    return {
        "user_id": f"u{number}",
        "email": f"u{number}@example.org",
        "attributes": {"first_name": f"Ann{number}"},
    }


async def _watch_it_die(instance: Instance, first: Vendor) -> Course:
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    body = {
        "audience": "all",
        "category": "transactional",
        "template": "order",
        "data": {"order": "A-1815"},
        "optimization": {"channels": ["email"]},
    }
    began = time.perf_counter()
    answer = await client.request("POST /api/v1/broadcasts", body)
    path = f"/api/v1/broadcasts/{answer.json()['broadcast_id']}"
    died_at = 0
    while True:
        books = (await client.request(f"GET {path}")).json()["balance"]
        sent = first.file.stat().st_size // UUID_BYTES
        if not died_at and sent >= COUNT // 2:
            first.process.kill()
            died_at = sent
            say(f"killed the first vendor after {sent:,} messages")
        if books["audience"] and books["sent"] == books["audience"]:
            break
        if time.perf_counter() - began > TIMEOUT_S:
            raise TimeoutError(f"the broadcast did not end: {books}")
        await asyncio.sleep(POLL_S if died_at else 0.01)
    seconds = time.perf_counter() - began
    waits, unsure = await _read_waits(instance)
    return Course(seconds, books, died_at, waits, unsure)


async def _read_waits(instance: Instance) -> tuple[list[float], list[float]]:
    connection = await asyncpg.connect(instance.database_url)
    try:
        rows = await connection.fetch(_LOGS)
    finally:
        await connection.close()
    waits: list[float] = []
    unsure: list[float] = []
    for row in rows:
        tries = [entry for entry in msgspec.json.decode(row["attempt_log"]) if entry.get("provider")]
        if len(tries) > 1:
            waits.append((tries[-1]["at_ms"] - tries[0]["at_ms"]) / 1000)
            if any(entry["outcome"] == "ambiguous" for entry in tries):
                unsure.append(waits[-1])
    return waits, unsure
