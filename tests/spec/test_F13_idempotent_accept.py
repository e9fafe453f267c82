"""F-13, idempotent accept, and priority.

Read as: a request that is repeated under its `Idempotency-Key`, also by fifty clients at once, makes one notification,
and all are given the same answer; the key with another body is refused; and what is urgent overtakes a backlog. The
specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio
from typing import Final

from clarion.testing.http import HttpAnswer
from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import slow
from tests.live.support import Person, notification

CLIENTS: Final = 50


async def insist(person: Person, key: str, **fields: object) -> HttpAnswer:
    """The answer to a request, repeated while the first one is still running (409)."""

    async def attempt() -> HttpAnswer:
        return await person.call(
            "POST /notifications", notification(**fields), headers={"idempotency-key": key}
        )

    return await eventually(attempt, lambda answer: answer.status != 409)


async def test_F13_fifty_clients_with_one_key_make_one_notification(sender: Person, sink: SmtpSink):
    await sender.users(1)

    answers = await asyncio.gather(*(insist(sender, "order-17") for _ in range(CLIENTS)))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    first = [answer for answer in answers if "idempotent-replayed" not in answer.headers]
    assert len(first) == 1
    assert await sender.all_over(1) == {"sent": 1}
    assert (await sink.report()).received == 1


async def test_F13_a_key_with_another_body_is_refused(sender: Person):
    await sender.users(1)
    first = await insist(sender, "order-18")

    other = await insist(sender, "order-18", priority=1)
    same = await insist(sender, "order-18")

    assert other.status == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert (same.status, same.body) == (201, first.body)
    assert same.headers["idempotent-replayed"] == "true"
    assert (await sender.all_over(1)).total() == 1


async def test_F13_one_key_covers_a_whole_batch(sender: Person):
    users = await sender.users(100)
    body = {"notifications": [notification(user_id=name) for name in users]}
    headers = {"idempotency-key": "campaign-1"}

    async def post() -> HttpAnswer:
        async def attempt() -> HttpAnswer:
            return await sender.call("POST /notifications/batch", body, headers=headers)

        return await eventually(attempt, lambda answer: answer.status != 409)

    answers = await asyncio.gather(*(post() for _ in range(10)))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert (await sender.all_over(100)).total() == 100


async def test_F13_what_is_urgent_overtakes_a_backlog(sender: Person, sink: SmtpSink):
    """A campaign that takes 5 s is under way: a code of priority 0 arrives long before its end."""
    users = await sender.users(400)
    await sink.script(slow(250))
    await sender.campaign(users[1:], priority=9)
    await sink.wait_for(20)

    code = await sender.notify(user_id="user-0", category="security", priority=0)

    assert await sender.ends(code["notification_id"]) == "sent"
    assert (await sink.report()).distinct < 250
    assert await sender.all_over(400) == {"sent": 400}
