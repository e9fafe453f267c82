"""What becomes of messages when a vendor over HTTP does what it should not: every retry class, on real connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.base import Flight
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call, HttpProvider
from clarion.adapters.providers.http.statuses import outcome_of, read_body, verdict_of
from clarion.adapters.providers.http.transport import Transport
from clarion.delivery.model import Capabilities, Message, Outcome, OutcomeKind
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport
from clarion.testing.vendors.wire import DROP, HANG, Drip, Raw, VendorServer, serve

TENANT = b"t" * 16
NOW_MS = 1_800_000_000_000


class Taken(msgspec.Struct):
    id: str


class Vendor:
    """Takes everything, and answers with an id."""

    def answer(self, request: HttpRequest) -> HttpReply:
        return HttpReply(200, {}, b'{"id": "%s"}' % request.body[:40])


class AcmeProvider(HttpProvider):
    """A vendor of this test: one message a call, its id in the reply."""

    def __init__(self, url: str, transport: Transport, deadline_s: float = 10) -> None:
        config = ProviderConfig("acme", TENANT, "acme", "sms", {}, {})
        super().__init__(config, Capabilities("sms", max_batch=100, concurrency=10), transport, deadline_s)
        self._url = url

    def _calls_of(self, flights: Sequence[Flight]) -> list[Call]:
        return [
            Call(HttpRequest("POST", self._url, {}, flight.message.delivery_id.hex().encode()), [flight])
            for flight in flights
        ]

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        message = call.flights[0].message
        verdict = verdict_of(reply, NOW_MS)
        if verdict.kind != "sent":
            return [outcome_of(message, verdict)]
        return [self._sent(message, read_body(reply, Taken).id)]


@pytest_asyncio.fixture
async def server() -> AsyncGenerator[VendorServer]:
    async with serve(Vendor()) as server:
        yield server


@pytest_asyncio.fixture
async def transport() -> AsyncGenerator[Transport]:
    transport = loopback_transport()
    yield transport
    await transport.close()


def batch(count: int) -> list[Message]:
    ids = make_ids(count, NOW_MS)
    return [
        Message(ids[16 * n : 16 * n + 16], TENANT, "sms", 1, to="+15551234567", text="x")
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("step", "kind", "code"),
    [
        (DROP, "ambiguous", "disconnected"),
        (HANG, "ambiguous", "deadline"),
        (Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), "ambiguous", "deadline"),
        (Raw(b"220 mail.example ESMTP\r\n"), "ambiguous", "malformed_reply"),
        (HttpReply(200, {"Content-Type": "text/html"}, b"<html>Log in"), "ambiguous", "unreadable_reply"),
        (HttpReply(200, {}, b'{"error": "quota"}'), "ambiguous", "unreadable_reply"),
        (HttpReply(200, {}, b"x" * (10 << 20)), "ambiguous", "reply_too_large"),
        (HttpReply(302, {"Location": "http://127.0.0.1:1/"}, b""), "transient", "redirect"),
        (HttpReply(400, {}, b"no"), "permanent", "http_400"),
        (HttpReply(401, {}, b"no"), "transient", "auth"),
        (HttpReply(429, {"Retry-After": "3"}, b""), "throttled", "http_429"),
        (HttpReply(502, {"Content-Type": "text/html"}, b"<html>Bad"), "transient", "http_502"),
        (HttpReply(503, {}, b"x" * (10 << 20)), "transient", "http_503"),
        (HttpReply(504, {}, b""), "ambiguous", "http_504"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_one_faulty_call_costs_its_own_message_alone(
    server: VendorServer, transport: Transport, step: Any, kind: OutcomeKind, code: str
):
    provider = AcmeProvider(server.url, transport, 0.4 if code == "deadline" else 10)
    server.script.append(step)
    messages = batch(5)
    outcomes = await provider.send(messages)
    assert [outcome.delivery_id for outcome in outcomes] == [message.delivery_id for message in messages]
    odd = [outcome for outcome in outcomes if outcome.kind != "sent"]
    assert [(outcome.kind, outcome.code) for outcome in odd] == [(kind, code)]
    assert len(server.requests) == 5


async def test_a_vendor_that_cannot_be_reached_got_nothing(transport: Transport):
    outcomes = await AcmeProvider("http://127.0.0.1:1/", transport).send(batch(3))
    assert {(outcome.kind, outcome.code) for outcome in outcomes} == {("transient", "unreachable")}


async def test_what_waits_for_its_turn_when_time_is_up_has_not_left(
    server: VendorServer, transport: Transport
):
    """Of thirty messages, ten calls at a time to a vendor that hangs: ten are in doubt, twenty are not."""
    provider = AcmeProvider(server.url, transport)
    server.script.extend([HANG] * 10)
    outcomes = await provider.send(batch(30), within_s=0.2)
    kinds = [outcome.kind for outcome in outcomes]
    assert (kinds.count("ambiguous"), kinds.count("transient")) == (10, 20)
    assert len(server.requests) == 10


async def test_a_vendor_that_throttles_is_heard(server: VendorServer, transport: Transport):
    server.per_s = 10
    outcomes = await AcmeProvider(server.url, transport).send(batch(50))
    throttled = [outcome for outcome in outcomes if outcome.kind == "throttled"]
    assert len(throttled) == server.throttled > 0
    assert {outcome.retry_after_s for outcome in throttled} == {1.0}
