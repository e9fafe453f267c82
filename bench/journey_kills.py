"""`journey_kills`: runs of a journey whose workers die by SIGKILL at random moments, again and again.

Two worker processes share the work; a second to three after one has begun to, one of those that work is killed, and
another takes its place at once. A run has three messages and a webhook, with a delay and a wait between.
Counted afterwards, from the stores and from what the webhook's receiver was told: each effect of each step of each run
is there once. Repeats of a webhook carry the same message id, by which a receiver knows them (Standard Webhooks).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import Result, finish, post_all, raw_request, say
from clarion.adapters.postgres.migrate import Databases
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.vendors.wire import serve

RUNS: Final = int(os.environ.get("BENCH_JOURNEY_KILLS", "10000"))
BATCH: Final = 1_000
WORKERS: Final = 2
SEED: Final = 7
TIMEOUT_S: Final = 600.0
LEASE_S: Final = 3
LIVES_S: Final = (1.0, 3.0)
SUBJECTS: Final = ("hello", "again", "bye")
HOOK: Final = "hook"

_MESSAGES: Final = """
SELECT journey_id, substring(payload::TEXT FROM '(hello|again|bye)') AS subject, count(*) AS n FROM notifications
WHERE journey_id IS NOT NULL GROUP BY 1, 2
"""
_RUNS: Final = (
    "SELECT status, count(*) AS n FROM journey_instances WHERE journey_id = $1::UUID GROUP BY status"
)
_SETTINGS: Final = {"CLARION_EGRESS_ALLOW": "127.0.0.0/8", "CLARION_LEASE_S": f"{LEASE_S}"}


class Hook:
    """A webhook's receiver: the message ids by run."""

    def __init__(self) -> None:
        self.ids: dict[str, set[str]] = {}
        self.calls = 0

    def answer(self, request: HttpRequest) -> HttpReply:
        """Note it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        run: str = msgspec.json.decode(request.body)["data"]["journey_instance_id"]
        self.ids.setdefault(run, set()).add(headers["webhook-id"])
        self.calls += 1
        return HttpReply(200, {}, b"{}")


class Course(msgspec.Struct, frozen=True):
    """What was seen. `wrong`: effects that are missing, or there twice, by kind."""

    seconds: float
    kills: int
    statuses: Mapping[str, int]
    wrong: Mapping[str, int]
    webhook_calls: int


def run() -> Result:
    """All runs, and all deaths."""
    with clarion_up(None, _SETTINGS) as instance:
        course = asyncio.run(_live_and_die(instance))
    wrong = sum(course.wrong.values())
    say(f"{course.kills} kills in {course.seconds:.0f} s; wrong: {dict(course.wrong)}")
    return finish(
        Result(
            "journey_kills",
            wrong,
            "wrong effects",
            f"0 over {RUNS:,} runs, all of which end",
            wrong == 0 and course.statuses == {"completed": RUNS},
            detail={
                "runs": RUNS,
                "effects": RUNS * (len(SUBJECTS) + 1),
                "kills": course.kills,
                "statuses": dict(course.statuses),
                "webhook_calls": course.webhook_calls,
                "seconds": round(course.seconds),
            },
        )
    )


def _definition(url: str) -> dict[str, Any]:
    message = {"type": "notification", "channels": ["email"], "category": "transactional"}
    hello, again, bye = (
        {"id": subject, **message, "data": {"subject": subject, "body": "You are {{ context.word }}"}}
        for subject in SUBJECTS
    )
    return {
        "name": "kills",
        "steps": [
            hello,
            {"id": "pause", "type": "delay", "delay": "2s"},
            {"id": HOOK, "type": "webhook", "url": url, "on_error": "retry", "timeout": "2s"},
            again,
            {"id": "silence", "type": "wait", "event": "answered", "timeout": "3s"},
            bye,
        ],
    }


async def _live_and_die(instance: Instance) -> Course:
    hook = Hook()
    async with serve(hook) as server:
        journey_id = await _prepare(instance, server.url)
        own = instance.signal("worker", signal.SIGSTOP)
        try:
            with _workers(instance) as workers:
                seconds, kills, statuses = await _kill(instance, journey_id, workers)
        finally:
            os.kill(own, signal.SIGCONT)
    return Course(seconds, kills, statuses, await _wrong(instance, hook), hook.calls)


async def _kill(
    instance: Instance, journey_id: str, workers: list[Worker]
) -> tuple[float, int, dict[str, int]]:
    """Let all in, and kill until all but the last have ended: seconds, kills, and the runs by status."""
    chance = random.Random(SEED)  # noqa: S311  a seed, so that it can be repeated
    began, kills = time.perf_counter(), 0
    at_work: set[int] = set()
    entering = asyncio.create_task(_enter(instance, journey_id))
    while (statuses := await _statuses(instance, journey_id)) != {"completed": RUNS}:
        if time.perf_counter() - began > TIMEOUT_S:
            break
        await asyncio.sleep(chance.uniform(*LIVES_S))
        at_work |= {n for n, worker in enumerate(workers) if n not in at_work and worker.is_at_work()}
        if at_work and statuses.get("completed", 0) < RUNS * 0.98:
            victim = chance.choice(sorted(at_work))
            at_work.remove(victim)
            _replace(workers, victim, instance)
            kills += 1
            say(f"{time.perf_counter() - began:.0f} s: {kills} kills, {statuses}")
    await entering
    return time.perf_counter() - began, kills, statuses


async def _prepare(instance: Instance, url: str) -> str:
    requests = [
        raw_request(
            instance,
            "POST",
            "/api/v1/users/batch",
            {"users": [_user(n) for n in range(start, min(start + BATCH, RUNS))]},
        )
        for start in range(0, RUNS, BATCH)
    ]
    await post_all(instance, requests, 2)
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    answer = await client.request("POST /api/v1/journeys", _definition(url))
    if answer.status >= 300:  # noqa: PLR2004  HTTP's successes
        raise RuntimeError(answer.body)
    return answer.json()["journey_id"]


def _user(number: int) -> dict[str, Any]:
    return {"user_id": f"u{number}", "email": f"u{number}@example.org"}


async def _enter(instance: Instance, journey_id: str) -> None:
    requests = [
        raw_request(
            instance,
            "POST",
            f"/api/v1/journeys/{journey_id}/trigger/batch",
            {
                "users": [
                    {"user_id": f"u{n}", "context": {"word": f"number {n}"}}
                    for n in range(start, min(start + BATCH, RUNS))
                ]
            },
        )
        for start in range(0, RUNS, BATCH)
    ]
    await post_all(instance, requests, 1)


class Worker:
    """A worker process. `ready` is the end of a pipe that it writes to when it begins to work."""

    def __init__(self, instance: Instance) -> None:
        ready, told = os.pipe()
        os.set_blocking(ready, False)
        environment = instance.environment_of("worker") | {
            "CLARION_METRICS_PORT": "0",
            "CLARION_READY_FD": f"{told}",
        }
        command = [sys.executable, "-m", "clarion.entrypoints.workers.main"]
        self._process = subprocess.Popen(
            command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(told,)
        )
        os.close(told)
        self._ready = ready

    def is_at_work(self) -> bool:
        """Whether it has told that it works. Once only: the word is taken out of the pipe."""
        try:
            return bool(os.read(self._ready, 64))
        except BlockingIOError:
            return False

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()
        os.close(self._ready)


@contextmanager
def _workers(instance: Instance) -> Generator[list[Worker]]:
    workers = [Worker(instance) for _ in range(WORKERS)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def _replace(workers: list[Worker], index: int, instance: Instance) -> None:
    workers[index].kill()
    workers[index] = Worker(instance)


async def _fetch(url: str, statement: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


async def _statuses(instance: Instance, journey_id: str) -> dict[str, int]:
    names = Databases()
    head, _, _ = instance.owner_url.rpartition("/")
    rows = await _fetch(f"{head}/{names.global_}", _RUNS, journey_id)
    return {row["status"]: row["n"] for row in rows}


async def _wrong(instance: Instance, hook: Hook) -> dict[str, int]:
    rows = await _fetch(instance.owner_url, _MESSAGES)
    wrong: dict[str, int] = {}
    for subject in SUBJECTS:
        counts = [row["n"] for row in rows if row["subject"] == subject]
        wrong[subject] = abs(RUNS - len(counts)) + sum(n - 1 for n in counts)
    wrong[HOOK] = abs(RUNS - len(hook.ids)) + sum(len(ids) - 1 for ids in hook.ids.values())
    return wrong
