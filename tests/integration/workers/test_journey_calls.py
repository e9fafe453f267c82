"""Fetches and webhooks of journeys, against servers that answer, refuse, drip and hang."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.standard_webhooks import sign
from clarion.bootstrap import Worker
from clarion.entrypoints.journeying import webhook_secrets
from clarion.entrypoints.workers.journey_effects import open_effects
from clarion.journeys.graph import FetchSpec, WebhookSpec
from clarion.journeys.model import Context
from tests.integration.api.support import Caller
from tests.integration.workers.journey_support import Runs, Started

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = Path(__file__).parents[3] / "docs/how-to/receive-webhooks.md"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Somebody else's server: what it was asked, and how it answers."""

    port: int = 0
    asked: list[tuple[str, dict[str, str], bytes]] = field(
        default_factory=list[tuple[str, dict[str, str], bytes]]
    )
    answer: Answer | None = None

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append((head[0].rsplit(" ", 1)[0], headers, body))
            assert self.answer is not None
            await self.answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def says(body: Any, status: int = 200, headers: str = "") -> Answer:
    """An answer, whole and at once."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{headers}\r\n"
        writer.write(head.encode() + raw)
        await writer.drain()

    return answer


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte at a time, for ever."""
    never = asyncio.Event()
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), 0.05)


def as_the_page_says() -> Callable[[str, dict[str, str], bytes], bool]:
    """The check that `docs/how-to/receive-webhooks.md` shows."""
    shown = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102  our own page
    return names["is_ours"]


@asynccontextmanager
async def serving() -> AsyncGenerator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncGenerator[Server]:
    async with serving() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def runs(caller: Caller, worker: Worker) -> AsyncGenerator[Runs]:
    await caller.user("ada", attributes={"plan": "free"})
    settings = worker.region.settings.model_copy(update={"egress_allow": "127.0.0.0/8"})
    region = msgspec.structs.replace(worker.region, settings=settings)
    started = Started()
    async with open_effects(region, worker.broadcasts.accept, started) as parts:
        yield Runs(caller, worker, parts, started)


async def test_a_document_is_fetched_and_its_parts_are_taken(runs: Runs, server: Server):
    server.answer = says({"order": {"lines": [{"sku": "a"}], "total": 12.5}, "more": 1})
    into = {"total": "order.total", "first": "order.lines.0.sku", "none": "order.nothing"}
    spec = FetchSpec(server.url("/orders/{{ context.id }}?who={{ user.plan }}"), into=into)
    done = await runs.answer(runs.ask(await runs.run(), spec), Context({"id": "7/8 é"}))
    assert (done.result, done.error) == ("http_200", "")
    assert done.data == {"total": 12.5, "first": "a", "none": None}
    assert server.asked[0][0] == "GET /orders/7%2F8%20%C3%A9?who=free"


@pytest.mark.parametrize(
    ("answer", "error", "retries"),
    [
        (says({}, 404), "http_404", "given up"),
        (says({}, 302, "Location: http://127.0.0.1/\r\n"), "http_302", "given up"),
        (says({}, 503), "http_503", "again"),
        (says({}, 429, "Retry-After: 7\r\n"), "http_429", "again"),
        (says(b"<html>"), "no_json", "given up"),
        (says(b" " * (300 << 10)), "too_large", "given up"),
        (says({"x": "y" * (70 << 10)}), "too_large", "given up"),
    ],
    ids=["absent", "moved", "broken", "busy", "no JSON", "large reply", "large value"],
)
async def test_what_is_no_good_answer_is_tried_again_or_not(
    runs: Runs, server: Server, answer: Answer, error: str, retries: str
):
    server.answer = answer
    done = await runs.answer(runs.ask(await runs.run(), FetchSpec(server.url(), into={"x": "x"})))
    assert (done.error, done.final) == (error, retries == "given up")
    assert done.retry_ms == (7_000 if error == "http_429" else 0)


async def test_a_server_that_drips_has_its_time_and_no_more(runs: Runs, server: Server):
    server.answer = drips
    began = time.monotonic()
    done = await runs.answer(runs.ask(await runs.run(), FetchSpec(server.url()), timeout_ms=300))
    assert (done.error, done.final) == ("timeout", False)
    assert time.monotonic() - began < 5


async def test_servers_that_drip_slow_nobody_else(runs: Runs, server: Server):
    server.answer = drips
    run = await runs.run()
    slow = [runs.ask(run, FetchSpec(server.url()), visit=n, timeout_ms=10_000) for n in range(1, 40)]
    assert await runs.carry_out(*slow, *slow) == [None] * 78
    async with serving() as other:
        other.answer = says({})
        done = await runs.answer(runs.ask(await runs.run(), FetchSpec(other.url())))
    assert done.result == "http_200"
    assert runs.parts.slow.under_way == len(slow)


async def test_our_own_network_is_not_asked(runs: Runs, worker: Worker):
    async with open_effects(worker.region, worker.broadcasts.accept, Started()) as parts:
        inside = Runs(runs.caller, worker, parts, Started())
        for url in ("http://127.0.0.1:1/", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/"):
            done = await inside.answer(inside.ask(await inside.run(), FetchSpec(url)))
            assert (done.error, done.final) == ("egress", True)


async def test_a_webhook_is_signed_so_that_a_repeat_is_known(runs: Runs, server: Server):
    server.answer = says({}, 202)
    spec = WebhookSpec(server.url("/in"), headers={"webhook-id": "mine", "X-Own": "{{ context.id }}"})
    ask = runs.ask(await runs.run(), spec)
    for _ in range(2):
        assert (await runs.answer(ask, Context({"id": 7}))).result == "http_202"
    (secret,) = await webhook_secrets(runs.worker.region).secrets(runs.caller.tenant_id)
    idents: set[str] = set()
    check = as_the_page_says()
    for line, headers, body in server.asked:
        assert line == "POST /in"
        ident = headers["webhook-id"]
        idents.add(ident)
        assert headers["webhook-signature"] == sign(secret, ident, int(headers["webhook-timestamp"]), body)
        assert check(secret, headers, body)
        assert not check(secret, headers, body + b" ")
        said = msgspec.json.decode(body)
        assert (said["type"], said["data"]["user_id"], said["data"]["step"]) == (
            "journey.step",
            "ada",
            "hello",
        )
        assert said["data"]["context"] == {"id": 7}
        assert headers["x-own"] == "7"
    assert len(idents) == 1


async def test_after_a_change_both_secrets_sign_for_a_day(runs: Runs, server: Server):
    secrets = webhook_secrets(runs.worker.region)
    (before,) = await secrets.secrets(runs.caller.tenant_id)
    await secrets.replace(runs.caller.tenant_id)
    after = await secrets.secrets(runs.caller.tenant_id)
    assert after[1:] == [before]
    assert after[0] != before
    assert await webhook_secrets(runs.worker.region).secrets(bytes(16)) != [before]
    server.answer = says({}, 202)
    await runs.answer(runs.ask(await runs.run(), WebhookSpec(server.url(), body={"a": 1})))
    (_, headers, body) = server.asked[0]
    at_s = int(headers["webhook-timestamp"])
    assert headers["webhook-signature"].split() == [
        sign(one, headers["webhook-id"], at_s, body) for one in after
    ]
