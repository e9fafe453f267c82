"""Every operation, with the ids of another tenant: nothing of hers is read, and nothing is changed.

A short form runs with every `make test`; `make attack` sends fifty thousand requests and prints what came of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest

from clarion.testing.http import HttpAnswer, HttpConnection, request_head
from tests.attacks.islands import SECRET, Forger, Request, Shore, describe, settle
from tests.integration.api.support import Api, Caller

REQUESTS: Final = int(os.environ.get("CLARION_ISLAND_REQUESTS", "1500"))
AT_ONCE: Final = 16
SEED: Final = 20261123


async def send(connection: HttpConnection, request: Request, key: str) -> HttpAnswer:
    method, path, body, headers = request
    sent = {**headers, "authorization": f"Bearer {key}"}
    await connection.send(request_head(f"{method} {path}", sent, body or None) + body)
    return await connection.receive(has_body=method != "HEAD")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(900)
async def test_no_request_reaches_another_tenant(api: Api, caller: Caller, other: Caller):
    ids = await settle(other)
    forger = Forger(await describe(api), ids, SEED)
    shore = Shore(api.gateway.region, other.tenant_id)
    before = await shore.look()
    requests: Iterator[tuple[str, Request]] = forger.requests(max(REQUESTS, forger.operations))
    statuses: Counter[int] = Counter()
    seen: list[tuple[str, Request, bytes]] = []

    async def work() -> None:
        async with api.connect() as connection:
            for operation, request in requests:
                answer = await send(connection, request, caller.key)
                statuses[answer.status] += 1
                if SECRET.encode() in answer.body:
                    seen.append((operation, request, answer.body))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    changed = sorted(place for place, hashed in (await shore.look()).items() if before.get(place) != hashed)
    gone = sorted(before.keys() - (await shore.look()).keys())
    strangers = await shore.strangers()
    sys.stderr.write(
        f"\n{statuses.total()} requests over {forger.operations} operations: {len(seen)} answers told of the other "
        f"tenant, {len(changed) + len(gone)} places of hers changed, {len(strangers)} tables name her users; "
        f"by status {dict(sorted(statuses.items()))}\n"
    )
    assert seen == []
    assert (changed, gone, strangers) == ([], [], {})
    assert statuses[200] + statuses[201] + statuses[202] > statuses.total() // 20, statuses
    assert not [status for status in statuses if status >= 500], statuses
    assert (await caller.call("GET /me")).status == 200
