"""A whole Clarion in front of a vendor over HTTP that holds every request against the vendor's own description."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest_asyncio

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.testing.vendors import DROP, TwilioDouble, VendorServer, serve
from clarion.testing.vendors.twilio import ACCOUNT_SID, AUTH_TOKEN
from clarion.testing.waiting import eventually
from tests.live.support import Person, notification, user

N: Final = 20


@pytest_asyncio.fixture
async def twilio() -> AsyncGenerator[VendorServer]:
    async with serve(TwilioDouble()) as server:
        yield server


async def text_through(person: Person, server: VendorServer, auth_token: str) -> None:
    settings = {"base_url": server.url, "account_sid": ACCOUNT_SID, "from": "+15005550006"}
    account: dict[str, Any] = {"kind": "twilio", "channel": "sms", "settings": settings}
    await person.get("PUT /providers/texts", {**account, "credentials": {"auth_token": auth_token}})


async def send_texts(person: Person) -> list[str]:
    people = [user(f"user-{n}", phone=f"+1202555{n:04}") for n in range(N)]
    await person.get("POST /users/batch", {"users": people})
    wanted = {"optimization": {"channels": ["sms"]}}
    body = {"notifications": [notification(user_id=one["user_id"], **wanted) for one in people]}
    answer = await person.insist("POST /notifications/batch", body)
    return [result["notification_id"] for result in answer["results"]]


async def test_a_wrong_key_costs_no_message(person: Person, twilio: VendorServer):
    """The vendor refuses it, messages are kept and say why; once it is mended they go, each once."""
    await text_through(person, twilio, "1" * 32)
    ids = await send_texts(person)

    async def codes() -> set[str]:
        return {attempt["code"] for ident in ids for attempt in await person.attempts(ident)}

    assert await eventually(codes) == {"auth"}
    assert set(await person.statuses()) <= {"queued", "retrying"}
    double = twilio.double
    assert isinstance(double, TwilioDouble)
    # One portion finds out; then the breaker is open, and messages wait without being tried.
    assert double.taken == 0
    assert double.statuses[401] <= N

    await text_through(person, twilio, AUTH_TOKEN)
    assert await person.all_over(N) == {"sent": N}
    assert (double.taken, set(double.statuses)) == (N, {401, 201})
    assert {one["To"] for one in double.arrived} == {f"+1202555{n:04}" for n in range(N)}


async def test_what_surely_did_not_arrive_goes_again_and_what_may_have_does_not_in_silence(
    person: Person, twilio: VendorServer
):
    """A busy vendor, a broken one, and one that hangs up: every message ends, and the trace says how it went."""
    await text_through(person, twilio, AUTH_TOKEN)
    faults = [HttpReply(503, {}, b"<html>busy"), HttpReply(429, {"Retry-After": "1"}, b""), DROP]
    twilio.script.extend(faults)
    ids = await send_texts(person)
    assert await person.all_over(N) == {"sent": N}
    codes = [attempt["code"] for ident in ids for attempt in await person.attempts(ident) if attempt["code"]]
    assert {"http_503", "http_429", "disconnected"} <= set(codes)
    double = twilio.double
    assert isinstance(double, TwilioDouble)
    assert double.taken == N
