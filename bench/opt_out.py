"""`opt_out`: from a refusal that was acknowledged to the last message that still left against it.

At 2 000 sends a second: every user gets a marketing message each second, through the real API and a worker; one user
after another says no, by `POST /api/v1/compliance/consent`. What counts is the store's clock when the last message to
her was recorded as sent, less its time when the refusal was answered. A call that was under way then is recorded a
little later.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import Result, finish, percentile, post_all, raw_request, run_in_process, say
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR_MS: Final = 1_000.0
BAR_RATE: Final = 2_000
USERS: Final = 2_200
"""A message each a second, and so a little more than the rate that is asked for, as some of them say no."""

BATCH: Final = 550
OPT_OUTS: Final = 100
WARM_UP_S: Final = 3.0
SAY_EVERY_S: Final = 0.08
AFTERWARDS_S: Final = 2.0
PART: Final = 1_000

_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"
_LEFT: Final = "SELECT count(*) FROM open_deliveries"
_SENT: Final = """
SELECT u.external_id, extract(epoch FROM n.sent_at)::float8
FROM notifications n JOIN user_profiles u USING (user_id)
WHERE n.status = 'sent' AND u.external_id = ANY($1)
"""
_RATE: Final = """
SELECT count(*) / greatest(extract(epoch FROM max(sent_at) - min(sent_at)), 1)::float8
FROM notifications WHERE status = 'sent'
"""
_STATUSES: Final = "SELECT status, count(*) FROM notifications GROUP BY 1"


class _Run(msgspec.Struct, frozen=True):
    """What it came to: seconds from answer to last message by user, of each answer; sends a second; ends."""

    effects: list[float]
    answers: list[float]
    late: int
    rate: float
    statuses: dict[str, int]


def run() -> Result:
    """OPT_OUTS of USERS say no, one every SAY_EVERY_S, in the middle of a campaign to all of them."""
    with clarion_up() as instance:
        _prepare(instance)
        outcome: _Run = run_in_process(_measure, instance)
    worst_ms = max(outcome.effects) * 1000
    say(f"the last message left {worst_ms:.0f} ms after the answer, at {outcome.rate:,.0f} sends/s")
    return finish(
        Result(
            "opt_out",
            round(worst_ms, 1),
            "ms, worst",
            f"≤ {BAR_MS:g} ms at {BAR_RATE} sends/s, and messages stopped",
            worst_ms <= BAR_MS and outcome.rate >= BAR_RATE and "blocked" in outcome.statuses,
            p50_ms=round(percentile(outcome.answers, 0.5) * 1000, 1),
            p99_ms=round(percentile(outcome.answers, 0.99) * 1000, 1),
            detail={
                "opt_outs": OPT_OUTS,
                "sends_per_s": round(outcome.rate),
                "latency_is": "of the answer to the refusal",
                "median_effect_ms": round(percentile(outcome.effects, 0.5) * 1000, 1),
                "recorded_after_the_answer": outcome.late,
                "statuses": outcome.statuses,
            },
        )
    )


def _names() -> list[str]:
    return [f"u{i}" for i in range(USERS)]


def _prepare(instance: Instance) -> None:
    zone = _noon()
    users = [{"user_id": n, "email": f"{n}@example.org", "timezone": zone, "country": "AU"} for n in _names()]
    asyncio.run(
        post_all(
            instance,
            [
                raw_request(instance, "PUT", "/api/v1/categories/offers", {"class": "marketing"}),
                *(
                    raw_request(instance, "POST", "/api/v1/users/batch", {"users": users[i : i + PART]})
                    for i in range(0, USERS, PART)
                ),
            ],
            1,
        )
    )
    asyncio.run(post_all(instance, [_word(instance, name, consented=True) for name in _names()], 8))


def _noon() -> str:
    """A time zone in which it is about noon: nothing is quiet there, and Australia's law knows no hours."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def _word(instance: Instance, name: str, *, consented: bool) -> bytes:
    word = {"user_id": name, "channel": "email", "category": "offers", "consented": consented}
    return raw_request(instance, "POST", "/api/v1/compliance/consent", {**word, "source": "bench"})


def _measure(instance: Instance) -> _Run:
    return asyncio.run(_opt_out(instance))


async def _opt_out(instance: Instance) -> _Run:
    connection = await asyncpg.connect(instance.database_url)
    try:
        over = asyncio.Event()
        campaign = asyncio.create_task(_campaign(instance, over))
        await asyncio.sleep(WARM_UP_S)
        answered: dict[str, float] = {}
        answers: list[float] = []
        for name in _names()[:: USERS // OPT_OUTS][:OPT_OUTS]:
            answers += await post_all(instance, [_word(instance, name, consented=False)], 1)
            answered[name] = await connection.fetchval(_CLOCK)
            await asyncio.sleep(SAY_EVERY_S)
        await asyncio.sleep(AFTERWARDS_S)
        over.set()
        await campaign
        rate = await connection.fetchval(_RATE)
        await eventually(lambda: connection.fetchval(_LEFT), (0).__eq__)
        return await _settle(connection, answered, answers, rate)
    finally:
        await connection.close()


async def _settle(
    connection: Any,  # noqa: ANN401  asyncpg's connection
    answered: dict[str, float],
    answers: list[float],
    rate: float,
) -> _Run:
    last = dict(answered)
    late = 0
    for name, at in await connection.fetch(_SENT, list(answered)):
        late += at > answered[name]
        last[name] = max(last[name], at)
    statuses = {row[0]: row[1] for row in await connection.fetch(_STATUSES)}
    return _Run([last[name] - at for name, at in answered.items()], answers, late, rate, statuses)


async def _campaign(instance: Instance, over: asyncio.Event) -> None:
    """A message to every user each second, a batch after the other."""
    said = {"subject": "Offer", "text": "Today only"}
    optimization = {"channel_selection": "specified", "channels": ["email"]}
    items = [
        {"user_id": name, "category": "offers", "data": said, "optimization": optimization}
        for name in _names()
    ]
    requests = [
        raw_request(instance, "POST", "/api/v1/notifications/batch", {"notifications": items[i : i + BATCH]})
        for i in range(0, USERS, BATCH)
    ]
    due = time.monotonic()
    while not over.is_set():
        for request in requests:
            await post_all(instance, [request], 1)
            due += BATCH / USERS
            await asyncio.sleep(max(due - time.monotonic(), 0))
