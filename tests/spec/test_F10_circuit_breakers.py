"""F-10, circuit breakers: a provider that is down is left alone by all workers, and taken back slowly.

Read as: (1) after a total failure the breaker of an account opens within a second, for all workers of the region, and
the messages go another way; while it is open the provider is asked about once a second, by all of them together; when
it works again it is used again, by itself; (2) refused credentials open it at once, nothing is lost, and new ones close
it; (3) another tenant's account of the same provider goes on. The specification's own text is not in this repository.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from clarion.testing.smtp import Fault, SmtpSink
from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.support import Person, ledger_holds, move_in
from tests.live.workers import second_worker

N: Final = 40
PROBED_S: Final = 4
OPENS_WITHIN_S: Final = 1.0
DOWN: Final = Fault("mail", text="451 4.3.2 system not accepting messages")


@pytest.fixture
def backup() -> Generator[SmtpSink]:
    with SmtpSink.start() as started:
        yield started


async def health(person: Person, provider: str, *statuses: str) -> dict[str, Any]:
    """An account's health once it is one of these."""

    async def ask() -> dict[str, Any]:
        return await person.get(f"GET /providers/{provider}/health")

    return await eventually(ask, lambda found: found["status"] in statuses)


async def test_F10_a_provider_that_is_down_is_left_alone_by_all_workers_and_taken_back(
    live: Live, sender: Person, sink: SmtpSink, backup: SmtpSink, tmp_path: Path
):
    settings = backup.provider_settings("Clarion <hello@example.com>")
    spare = {"kind": "smtp", "channel": "email", "settings": settings, "weight": 0}
    await sender.get("PUT /providers/backup", spare)
    users = await sender.users(N)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(second_worker(live, tmp_path))
        await sink.script(DOWN)
        ids = await sender.campaign(users)
        assert await sender.all_over(N) == {"sent": N}
        open_now = await health(sender, "smtp", "failing")
        # A steady trickle is what makes probes.
        until = datetime.now(UTC) + timedelta(seconds=PROBED_S)

        async def is_probed() -> bool:
            return datetime.now(UTC) > until

        ids += await trickle(sender, is_probed)
        await sender.all_over(len(ids))

        await sink.script()

        async def is_used() -> bool:
            return (await sink.report()).received >= N // 4

        ids += await trickle(sender, is_used)
        await health(sender, "smtp", "healthy", "recovering")
        assert await sender.all_over(len(ids)) == {"sent": len(ids)}

    asked = [at for ident in ids for at in await failures(sender, ident, "smtp")]
    first = min(asked)
    (region,) = open_now["regions"]
    assert datetime.fromisoformat(region["since"]) - first < timedelta(seconds=OPENS_WITHIN_S)
    probes = [at for at in asked if at > first + timedelta(seconds=OPENS_WITHIN_S)]
    assert 1 <= len(probes) <= (max(probes) - min(probes)).total_seconds() * 1.1 + 2
    assert await ledger_holds(live.instance.data)
    together = (await sink.report()).received + (await backup.report()).received
    assert together == len(ids), "nothing is lost or doubled"


async def trickle(person: Person, is_enough: Callable[[], Awaitable[bool]]) -> list[str]:
    """Send five messages a second until it is enough; their ids."""
    ids: list[str] = []

    async def send() -> bool:
        ids.append((await person.notify())["notification_id"])
        return await is_enough()

    await eventually(send, every_s=0.2)
    return ids


async def failures(person: Person, ident: str, provider: str) -> list[datetime]:
    """When a message was refused by a provider."""
    attempts = await person.attempts(ident)
    return [
        datetime.fromisoformat(one["at"])
        for one in attempts
        if one["provider"] == provider and one["outcome"] == "transient"
    ]


async def test_F10_refused_credentials_stop_one_tenants_account_and_lose_nothing(live: Live, person: Person):
    other = await move_in(live.instance)
    wrong: dict[str, Any] = {"kind": "sandbox", "channel": "email", "settings": {"refuses": True}}
    await person.get("PUT /providers/sandbox-email", wrong)
    users = await person.users(10)
    await other.users(1)

    ids = await person.campaign(users)
    found = await health(person, "sandbox-email", "refused")
    assert [alert["code"] for alert in found["alerts"]] == ["credentials_refused"]
    assert set(await person.statuses()) <= {"queued", "retrying"}, "messages are kept"
    assert await other.ends((await other.notify())["notification_id"]) == "sent"

    await person.get("PUT /providers/sandbox-email", wrong | {"settings": {}})
    assert await person.all_over(len(ids), within_s=90) == {"sent": len(ids)}
    await health(person, "sandbox-email", "healthy")
    tries = [len(await person.attempts(ident)) for ident in ids]
    assert max(tries) <= 3, "they waited for new credentials, and did not knock with the old ones"
