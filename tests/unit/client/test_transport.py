"""What the client does with refusals: a server on loopback says what the test told it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import pytest
from aiohttp import web

from clarion.client import (
    ApiError,
    Clarion,
    Forbidden,
    InvalidRequest,
    ItemRefused,
    NotFound,
    NotificationRequest,
    RetryPolicy,
    StateConflict,
    Throttled,
    Unauthenticated,
    Unavailable,
)

Step: TypeAlias = tuple[int, dict[str, str], Any]
"""Status (0: cut the connection), headers, body."""

ASK = NotificationRequest("ada", "service")
TOLD: dict[str, Any] = {
    "notification_id": "n-1",
    "status": "queued",
    "channels": ["email"],
    "ml_predictions": {
        "optimal_send_time": None,
        "channel_scores": {},
        "predicted_engagement": 0,
        "confidence": 0,
    },
    "reasons": [],
    "something": "of a later release",
}
QUICK = RetryPolicy(patience_s=20.0, first_wait_s=0.001, longest_wait_s=0.002)
ONCE = RetryPolicy(patience_s=0.0)


@dataclass
class Server:
    """Answers what stands in `script`, one request after the other, then 201."""

    script: list[Step] = field(default_factory=list[Step])
    seen: list[web.Request] = field(default_factory=list[web.Request])
    bodies: list[Any] = field(default_factory=list[Any])
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        raw = await request.read()
        self.bodies.append(msgspec.json.decode(raw) if raw else None)
        status, headers, body = self.script.pop(0) if self.script else (201, {}, TOLD)
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 500, headers=headers, body=msgspec.json.encode(body))

    def used_keys(self) -> set[str]:
        return {request.headers["Idempotency-Key"] for request in self.seen}


@asynccontextmanager
async def serving(*script: Step) -> AsyncGenerator[Server]:
    server = Server(list(script))
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def problem(kind: str) -> dict[str, Any]:
    return {"type": f"urn:clarion:problem:{kind}", "detail": "why", "errors": [{"path": "p", "detail": "d"}]}


async def test_what_may_pass_is_repeated_under_one_key():
    busy: list[Step] = [
        (503, {}, {}),
        (429, {}, {}),
        (0, {}, {}),
        (409, {}, problem("key-in-use")),
        (502, {}, "a page"),
    ]
    async with serving(*busy) as server, Clarion(server.url, "ck", QUICK) as clarion:
        told = await clarion.notifications.send(ASK)

    assert told.notification_id == "n-1"
    assert len(server.seen) == 6
    assert len(server.used_keys()) == 1


async def test_each_call_has_a_key_of_its_own_or_the_callers():
    async with serving() as server, Clarion(server.url, "ck", QUICK) as clarion:
        await clarion.notifications.send(ASK)
        await clarion.notifications.send(ASK)
        await clarion.notifications.send(ASK, key="mine")

    assert len(server.used_keys()) == 3
    assert "mine" in server.used_keys()


async def test_retry_after_is_waited_for():
    loop = asyncio.get_running_loop()
    async with (
        serving((429, {"Retry-After": "1"}, {})) as server,
        Clarion(server.url, "ck", QUICK) as clarion,
    ):
        began = loop.time()
        await clarion.notifications.send(ASK)
        assert loop.time() - began >= 1.0


async def test_a_retry_after_beyond_patience_is_told_at_once():
    never = (429, {"Retry-After": "3600"}, problem("throttled"))
    async with serving(never) as server, Clarion(server.url, "ck", QUICK) as clarion:
        with pytest.raises(Throttled) as caught:
            await clarion.notifications.send(ASK)

    assert caught.value.kind == "throttled"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid", InvalidRequest),
        (401, "unauthenticated", Unauthenticated),
        (403, "forbidden", Forbidden),
        (404, "not-found", NotFound),
        (409, "conflict", StateConflict),
        (422, "unknown-reference", InvalidRequest),
        (503, "unavailable", Unavailable),
    ],
)
async def test_a_refusal_is_told_as_what_it_is(status: int, kind: str, error: type[ApiError]):
    async with serving((status, {}, problem(kind))) as server, Clarion(server.url, "ck", ONCE) as clarion:
        with pytest.raises(error) as caught:
            await clarion.notifications.send(ASK)

    assert (caught.value.kind, caught.value.problem.status, str(caught.value)) == (kind, status, "why")
    assert caught.value.errors[0].path == "p"


async def test_an_api_that_is_not_there_is_unavailable():
    async with serving() as server:
        url = server.url
    async with Clarion(url, "ck", ONCE) as clarion:
        with pytest.raises(Unavailable, match="does not answer"):
            await clarion.me()


async def test_concurrent_sends_travel_together_and_each_hears_its_own():
    def item(index: int, **fields: Any) -> dict[str, Any]:
        return {"index": index, **fields}

    refused = item(1, error={"type": "unknown", "detail": "no user", "path": "user_id"})
    answers = {"results": [item(0, notification_id="n-0"), refused, item(2, notification_id="n-2")]}
    async with serving((201, {}, answers)) as server, Clarion(server.url, "ck", QUICK) as clarion:
        batcher = clarion.notifications.batcher()
        told = await asyncio.gather(
            *(batcher.send(NotificationRequest(f"u-{i}", "service")) for i in range(3)),
            return_exceptions=True,
        )

    (body,) = server.bodies
    assert [one["user_id"] for one in body["notifications"]] == ["u-0", "u-1", "u-2"]
    assert isinstance(told[1], ItemRefused)
    assert told[1].error.type == "unknown"
    assert [getattr(one, "notification_id", None) for one in told] == ["n-0", None, "n-2"]


async def test_names_and_queries_are_encoded():
    async with serving((200, {}, {"user_id": "a/b"})) as server, Clarion(server.url, "ck", QUICK) as clarion:
        await clarion.users.get("a/b ?#ü")

    assert server.seen[0].raw_path == "/api/v1/users/a%2Fb%20%3F%23%C3%BC"


async def test_what_is_as_by_default_is_not_sent():
    async with serving() as server, Clarion(server.url, "ck", QUICK) as clarion:
        await clarion.notifications.send(NotificationRequest("ada", "service", priority=1))

    assert server.bodies == [{"user_id": "ada", "category": "service", "priority": 1}]


async def test_a_batch_beyond_the_apis_limit_is_refused_here():
    async with serving() as server, Clarion(server.url, "ck", QUICK) as clarion:
        with pytest.raises(ValueError, match="1001"):
            await clarion.notifications.send_many([ASK] * 1001)
