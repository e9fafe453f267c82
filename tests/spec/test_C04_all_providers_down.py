"""C-04, all providers down.

Read as: while no provider of a channel works, what is accepted is queued and tried again by schedule; a breaker keeps
the broken provider from being asked more than about once a second; what becomes worthless meanwhile ends as `expired`;
and when a provider is back, the rest drains by itself. The specification's own text is not in this repository.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from typing import Final

import pytest

from clarion.testing.smtp import Fault, SmtpSink
from tests.live.support import Person, ledger_holds

N: Final = 60
BRIEF_S: Final = 6
DOWN: Final = Fault("mail", text="451 4.3.2 system not accepting messages")


@pytest.fixture
def second_server() -> Generator[SmtpSink]:
    with SmtpSink.start() as started:
        yield started


async def test_C04_what_was_accepted_waits_and_then_expires_or_drains(
    sender: Person, sink: SmtpSink, second_server: SmtpSink
):
    await sender.mail_through(second_server, "other")
    await sender.get("PUT /categories/brief", {"class": "transactional", "ttl": BRIEF_S})
    users = await sender.users(N)
    for server in (sink, second_server):
        await server.script(DOWN)

    brief = await sender.campaign(users[: N // 3], category="brief")
    lasting = await sender.campaign(users[N // 3 :])
    assert [await sender.ends(ident) for ident in brief] == ["expired"] * len(brief)
    assert set(await sender.statuses()) <= {"expired", "queued", "retrying"}
    asked = await times_asked(sender, brief + lasting)
    await second_server.script()

    assert await sender.all_over(N) == {"expired": len(brief), "sent": len(lasting)}
    report = await second_server.report()
    assert (report.distinct, report.duplicates) == (len(lasting), 0)
    assert (await sink.report()).received == 0
    assert await ledger_holds(sender.instance.data)
    assert set(asked) == {"smtp", "other"}
    for times in asked.values():
        assert_is_left_alone(times)


async def times_asked(person: Person, ids: Sequence[str]) -> dict[str, list[datetime]]:
    """When each provider was asked, in order."""
    asked: defaultdict[str, list[datetime]] = defaultdict(list)
    for ident in ids:
        for attempt in await person.attempts(ident):
            if attempt["outcome"] == "transient":
                asked[attempt["provider"]].append(datetime.fromisoformat(attempt["at"]))
    return {provider: sorted(times) for provider, times in asked.items()}


def assert_is_left_alone(times: Sequence[datetime]) -> None:
    """What was under way when the breaker opened may have failed too; from then on there is a probe a second."""
    probes = [at for at in times if at > times[0] + timedelta(seconds=1)]
    assert 1 <= len(probes) <= (probes[-1] - probes[0]).total_seconds() * 1.05 + 1
