"""`unsubscribe`: from the moment a reader presses the button to the last message that still left for her.

Readers get marketing without a pause, all through the real API and a worker; one after another presses the button of
her mail program. What counts is the store's clock at the last message sent to her, less its time when she pressed.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec

from bench.harness import Result, finish, percentile, post_all, raw_request, run_in_process, say
from clarion.adapters.embedded import Credentials, DataDirectory
from clarion.adapters.sealing.master_key import MasterKey
from clarion.contracts.work import delivery_id_for
from clarion.delivery.links.tokens import LinkKeys, LinkKind, Recipient, TokenSigner
from clarion.kernel.ids import make_ids
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR_MS: Final = 1_000.0
READERS: Final = 60
WARM_UP_S: Final = 1.0
PRESS_EVERY_S: Final = 0.1
AFTERWARDS_S: Final = 1.5
BODY: Final = b"List-Unsubscribe=One-Click"

_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"
_LEFT: Final = "SELECT count(*) FROM open_deliveries"
_LAST: Final = """
SELECT u.external_id, extract(epoch FROM max(n.sent_at))::float8
FROM notifications n JOIN user_profiles u USING (user_id)
WHERE n.status = 'sent' GROUP BY 1
"""
_USERS: Final = "SELECT external_id, tenant_id, user_id FROM user_profiles"
_STATUSES: Final = "SELECT status, count(*) FROM notifications GROUP BY 1"


class _Run(msgspec.Struct, frozen=True):
    """What it came to: seconds by reader to the last message and to the answer; how many messages ended how."""

    effects: list[float]
    answers: list[float]
    statuses: dict[str, int]


def run() -> Result:
    """READERS unsubscribe, one every PRESS_EVERY_S, in the middle of a campaign to all of them."""
    with clarion_up() as instance:
        _prepare(instance)
        outcome: _Run = run_in_process(_measure, instance)
    worst_ms = max(outcome.effects) * 1000
    say(f"the last message left {worst_ms:.0f} ms after the button; {outcome.statuses}")
    return finish(
        Result(
            "unsubscribe",
            round(worst_ms, 1),
            "ms, worst",
            f"< {BAR_MS:g} ms, and messages before and after it",
            worst_ms < BAR_MS and {"sent", "blocked"} <= outcome.statuses.keys(),
            p50_ms=round(percentile(outcome.answers, 0.5) * 1000, 1),
            p99_ms=round(percentile(outcome.answers, 0.99) * 1000, 1),
            detail={
                "readers": READERS,
                "latency_is": "of the answer to the button",
                "median_effect_ms": round(percentile(outcome.effects, 0.5) * 1000, 1),
                "statuses": outcome.statuses,
            },
        )
    )


def _prepare(instance: Instance) -> None:
    users = [{"user_id": f"r{i}", "email": f"r{i}@example.org", "timezone": _noon()} for i in range(READERS)]
    word = {"channel": "email", "category": "offers", "consented": True, "source": "form"}
    requests = [
        raw_request(instance, "PUT", "/api/v1/categories/offers", {"class": "marketing"}),
        raw_request(instance, "POST", "/api/v1/users/batch", {"users": users}),
        *(
            raw_request(instance, "POST", "/api/v1/compliance/consent", {**word, "user_id": f"r{i}"})
            for i in range(READERS)
        ),
    ]
    asyncio.run(post_all(instance, requests, 1))


def _noon() -> str:
    """A time zone in which it is about noon: nothing is quiet there."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def _measure(instance: Instance) -> _Run:
    return asyncio.run(_unsubscribe_all(instance))


async def _unsubscribe_all(instance: Instance) -> _Run:
    connection = await asyncpg.connect(instance.database_url)
    try:
        paths = await _links(instance, connection)
        over = asyncio.Event()
        campaign = asyncio.create_task(_campaign(instance, over))
        await asyncio.sleep(WARM_UP_S)
        pressed: dict[str, float] = {}
        answers: list[float] = []
        for name, path in paths.items():
            pressed[name] = await connection.fetchval(_CLOCK)
            answers += await post_all(instance, [_press(instance, path)], 1)
            await asyncio.sleep(PRESS_EVERY_S)
        await asyncio.sleep(AFTERWARDS_S)
        over.set()
        await campaign
        await eventually(lambda: connection.fetchval(_LEFT), (0).__eq__)
        last = {row[0]: row[1] for row in await connection.fetch(_LAST)}
        statuses = {row[0]: row[1] for row in await connection.fetch(_STATUSES)}
        return _Run([max(0.0, last[name] - at) for name, at in pressed.items()], answers, statuses)
    finally:
        await connection.close()


async def _links(instance: Instance, connection: Any) -> dict[str, str]:  # noqa: ANN401  asyncpg's connection
    """Each reader's unsubscribe link, as her mail program reads it from the header."""
    master = MasterKey.from_text(Credentials(DataDirectory.existing(instance.data)).master_key())
    signer = TokenSigner(LinkKeys(1, {1: master.derive("links.1")}))
    now_ms = time.time_ns() // 1_000_000
    email = delivery_id_for(make_ids(1, now_ms), 0)
    return {
        name: "/u/"
        + signer.sign(
            LinkKind.UNSUBSCRIBE, signer.head(Recipient(tenant.bytes, email, user_id), now_ms), b"offers"
        )
        for name, tenant, user_id in await connection.fetch(_USERS)
    }


async def _campaign(instance: Instance, over: asyncio.Event) -> None:
    """A message to every reader, over and over: the next round as soon as the last one is accepted."""
    said = {"subject": "Offer", "text": "Today only"}
    items = [
        {
            "user_id": f"r{i}",
            "category": "offers",
            "data": said,
            "optimization": {"channel_selection": "specified", "channels": ["email"]},
        }
        for i in range(READERS)
    ]
    request = raw_request(instance, "POST", "/api/v1/notifications/batch", {"notifications": items})
    while not over.is_set():
        await post_all(instance, [request], 1)


def _press(instance: Instance, path: str) -> bytes:
    host, port = instance.address
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY
