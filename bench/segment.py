"""`segment`: how long a segment over a million users takes to be counted, asked through the API.

Users are written straight into the table, with the terms that the API would have written; a third of them have bought
something. Each expression is one that the store answers: what has to be judged user by user is measured apart, by the
worker, over users who were written through the API. The baseline counts all rows of the tenant without any condition.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final

import asyncpg

from bench.harness import Result, finish, median, post_all, raw_request, run_in_process, say
from clarion.adapters.embedded import Credentials, DataDirectory
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.sealers import AesSealer
from clarion.audience.traits import Kind, Trait, TraitBlinder, term_number
from clarion.kernel.ids import parse_id
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR_S: Final = 2.0
USERS: Final = 1_000_000
JUDGED: Final = 20_000
ROUNDS: Final = 3
BATCH: Final = 500

CHUNK: Final = 50_000
LOOK_S: Final = 0.05
COUNT_WITHIN_S: Final = 300.0

INSERT_USERS: Final = """
INSERT INTO user_profiles (user_id, tenant_id, external_id, home_region, sealed, fingerprint, reachable,
                           country, timezone, traits)
SELECT n + 1, $1::uuid, 's' || n, 'us-east-1', decode(repeat(md5(n::text), 10), 'hex'), decode(md5(n::text), 'hex'), 1,
       (ARRAY['DE', 'US', 'GB', 'FR'])[n % 4 + 1], 'Europe/Berlin',
       $4::bigint[] || ($5::bigint[])[n / 4 % 2 + 1] || ($6::bigint[])[n / 8 % 50 + 1]
FROM generate_series($2::bigint, $3::bigint) AS n"""

INSERT_ROLLUPS: Final = """
INSERT INTO event_rollups (tenant_id, event, user_id, count, first_at, last_at)
SELECT $1::uuid, 'purchase', n + 1, n % 7 + 1, now() - interval '90 days', now() - n % 30 * interval '1 day'
FROM generate_series($2::bigint, $3::bigint) AS n WHERE n % 3 = 0"""

COUNT_ROWS: Final = "SELECT count(*) FROM user_profiles WHERE tenant_id = $1::uuid"

EXPRESSIONS: Final = {
    "nobody": 'user.plan == "none"',
    "everybody": "has(user.plan)",
    "a fiftieth": 'user.tier == "t7"',
    "half": 'user.plan == "pro"',
    "bare": 'plan == "free"',
    "not": '!(user.plan == "pro")',
    "three": 'user.plan == "pro" && country == "DE" && user.tier in ["t1", "t2", "t3", "t4"]',
    "events": 'events.purchase.count > 2 && events.purchase.last_at > ago("7d")',
    "never": 'events.purchase.count == 0 && user.plan == "pro"',
    "either": 'user.tier == "t7" || events.purchase.count > 4',
}


def run() -> Result:
    """Count each expression ROUNDS times; the slowest expression's median counts."""
    with clarion_up() as instance:
        asyncio.run(_write_users(instance))
        rate = run_in_process(_judge, instance)
        say(f"judged: {rate:,.0f} users/s, in the worker")
        spans = {name: _count(instance, name, text) for name, text in EXPRESSIONS.items()}
        baseline = asyncio.run(_count_rows(instance))
    slowest = max(spans, key=lambda name: spans[name])
    value = spans[slowest]
    return finish(
        Result(
            "segment",
            round(value, 3),
            "s",
            f"< {BAR_S} s for each of {len(EXPRESSIONS)} segments over {USERS:,} users",
            value < BAR_S,
            baseline=round(baseline, 3),
            ratio=round(value / baseline, 2),
            detail={
                "users": USERS,
                "slowest": EXPRESSIONS[slowest],
                "seconds": {EXPRESSIONS[name]: round(span, 3) for name, span in spans.items()},
                "judged_users_per_s": round(rate),
            },
        )
    )


def _count(instance: Instance, name: str, text: str) -> float:
    spans: list[float] = []
    members: set[int] = set()
    for number in range(ROUNDS):
        # A name of its own each time: a count of the last five seconds would be given again.
        path = f"PUT /api/v1/segments/{name.replace(' ', '-')}-{number}"
        began = time.perf_counter()
        members.add(asyncio.run(_ask(instance, path, {"expression": text}))["members"])
        spans.append(time.perf_counter() - began)
    say(f"{median(spans):6.3f} s  {max(members):>9,}  {text}")
    return median(spans)


async def _ask(instance: Instance, line: str, body: Any = None) -> Any:  # noqa: ANN401  any JSON
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    answer = await client.request(line, body)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        msg = f"{answer.status}: {answer.body!r}"
        raise RuntimeError(msg)
    return answer.json()


async def _write_users(instance: Instance) -> None:
    """USERS rows with the terms of their plan and tier, and what a third of them bought."""
    tenant_id = parse_id(instance.tenant_id) or b""
    master = MasterKey.from_text(Credentials(DataDirectory.existing(instance.data)).master_key())
    blinder = TraitBlinder(tenant_id, AesSealer(master))

    def term(kind: Kind, name: str, value: str | None = None) -> int:
        return term_number(blinder.term(Trait(kind, (name,), value)))

    has = [term("has", "plan"), term("has", "tier")]
    plans = [term("is", "plan", plan) for plan in ("pro", "free")]
    tiers = [term("is", "tier", f"t{number}") for number in range(50)]
    connection = await asyncpg.connect(instance.owner_url)
    began = time.perf_counter()
    try:
        for start in range(0, USERS, CHUNK):
            span = (instance.tenant_id, start, min(start + CHUNK, USERS) - 1)
            await connection.execute(INSERT_USERS, *span, has, plans, tiers)
            await connection.execute(INSERT_ROLLUPS, *span)
        await connection.execute("VACUUM ANALYZE user_profiles")
        await connection.execute("VACUUM ANALYZE event_rollups")
    finally:
        await connection.close()
    say(f"{USERS:,} users written in {time.perf_counter() - began:.0f} s")


def _judge(instance: Instance) -> float:
    """Users a second that the worker opens and judges."""
    users = [
        {"user_id": f"j{number}", "attributes": {"age": number % 90, "name": f"Ann {number}"}}
        for number in range(JUDGED)
    ]
    requests = [
        raw_request(instance, "POST", "/api/v1/users/batch", {"users": users[start : start + BATCH]})
        for start in range(0, JUDGED, BATCH)
    ]
    asyncio.run(post_all(instance, requests, 2))
    began = time.perf_counter()
    asyncio.run(_ask(instance, "PUT /api/v1/segments/grown", {"expression": "user.age >= 18"}))
    asyncio.run(_until_counted(instance, "grown"))
    return JUDGED / (time.perf_counter() - began)


async def _until_counted(instance: Instance, name: str) -> None:
    await eventually(
        lambda: _ask(instance, f"GET /api/v1/segments/{name}"),
        lambda segment: segment["members"] is not None,
        within_s=COUNT_WITHIN_S,
        every_s=LOOK_S,
    )


async def _count_rows(instance: Instance) -> float:
    connection = await asyncpg.connect(instance.owner_url)
    spans: list[float] = []
    try:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await connection.fetchval(COUNT_ROWS, instance.tenant_id)
            spans.append(time.perf_counter() - began)
    finally:
        await connection.close()
    return median(spans)
