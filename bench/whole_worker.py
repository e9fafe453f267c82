"""Texts through a whole Clarion to a vendor's double: what one core's worth of worker carries."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import post_all, raw_request
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.vendors.process import running_double

BATCH: Final = 500
USERS: Final = 2_000
WARM_UP: Final = 2_000
POLL_S: Final = 0.05
TIMEOUT_S: Final = 120.0
TEMPLATE: Final = {
    "category": "transactional",
    "channels": {"sms": {"body": "Hello {{ user.first_name }}, your order {{ data.order }} is on its way."}},
}
_AREAS: Final = (202, 212, 213, 305, 312, 404, 415, 617, 702, 713)
_LEFT: Final = "SELECT (SELECT count(*) FROM open_deliveries) + (SELECT count(*) FROM outbox)"


class Whole(msgspec.Struct, frozen=True):
    """`per_worker_core`: messages a second of the worker's CPU. `per_s`: by the clock, everything on this machine."""

    count: int
    per_worker_core: float
    per_s: float


def through_a_whole_clarion(kind: str, count: int) -> Whole:
    """Accept, decide, render, send and record `count` texts, through an account of this kind."""
    environment = {"CLARION_EGRESS_ALLOW": "127.0.0.0/8"}
    with running_double(kind) as double, clarion_up(environment=environment) as instance:
        asyncio.run(_prepare(instance, kind, double.account))
        asyncio.run(_campaign(instance, WARM_UP))
        whole = asyncio.run(_campaign(instance, count))
    if double.took["taken"] != WARM_UP + count:
        raise RuntimeError(f"of {WARM_UP + count} texts the vendor took {double.took}")
    return whole


async def _prepare(instance: Instance, kind: str, account: dict[str, Any]) -> None:
    users = [
        {"user_id": f"u{n}", "phone": _phone(n), "attributes": {"first_name": f"Ann{n}"}}
        for n in range(USERS)
    ]
    body = {"kind": kind, "channel": "sms", **account}
    requests = [
        raw_request(instance, "PUT", "/api/v1/templates/order", TEMPLATE),
        raw_request(instance, "PUT", "/api/v1/providers/texts", body),
    ]
    requests += [
        raw_request(instance, "POST", "/api/v1/users/batch", {"users": users[start : start + BATCH]})
        for start in range(0, USERS, BATCH)
    ]
    await post_all(instance, requests, 1)


async def _campaign(instance: Instance, count: int) -> Whole:
    requests = [
        raw_request(
            instance,
            "POST",
            "/api/v1/notifications/batch",
            {"notifications": [_notification(n) for n in range(start, min(start + BATCH, count))]},
        )
        for start in range(0, count, BATCH)
    ]
    connection = await asyncpg.connect(instance.database_url)
    try:
        cpu, began = cpu_seconds(instance.pid_of("worker")), time.perf_counter()
        await post_all(instance, requests, 2)
        while await connection.fetchval(_LEFT):
            if time.perf_counter() - began > TIMEOUT_S:
                raise TimeoutError("the deliveries did not end")
            await asyncio.sleep(POLL_S)
        seconds = time.perf_counter() - began
        cpu = cpu_seconds(instance.pid_of("worker")) - cpu
    finally:
        await connection.close()
    return Whole(count, round(count / cpu), round(count / seconds))


def _phone(number: int) -> str:
    """Numbers of many blocks: thousands of texts to one would be stopped as a flood."""
    return f"+1{_AREAS[number % len(_AREAS)]}{220 + number % 79}{number:04}"


def _notification(number: int) -> dict[str, Any]:
    return {
        "user_id": f"u{number % USERS}",
        "category": "transactional",
        "template": "order",
        "data": {"order": f"A-{number}"},
        "optimization": {"channels": ["sms"]},
    }


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has used so far, in its own code and in the kernel for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
