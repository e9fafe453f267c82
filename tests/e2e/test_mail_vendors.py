"""A whole Clarion in front of a vendor that takes a thousand letters a call, and tells later what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

import msgspec
import pytest_asyncio

from clarion.testing.vendors import SendGridDouble, VendorServer, sendgrid, serve
from clarion.testing.waiting import eventually
from tests.integration.providers.webhooks import SendGridSigner
from tests.live.support import Person, fetch, user

N: Final = 300
HTML: Final = (
    "<h1>Hello {{ user.first_name }}</h1>{% if user.vip %}<p>Thank you.</p>{% endif %}<p>"
    + "The same for everybody. " * 20
    + '</p><a href="https://shop.example/?for={{ user.first_name }}">Shop</a>'
    + '<a href="{{ links.unsubscribe }}">Stop</a>'
)


@pytest_asyncio.fixture
async def vendor() -> AsyncGenerator[VendorServer]:
    async with serve(SendGridDouble()) as server:
        yield server


async def open_account(person: Person, vendor: VendorServer, signer: SendGridSigner) -> str:
    """Send e-mail through SendGrid from now on; where its webhooks go."""
    settings = {"from": "Shop <news@shop.example>", "base_url": vendor.url, "webhook_key": signer.public_key}
    account: dict[str, Any] = {"kind": "sendgrid", "channel": "email", "settings": settings}
    shown = await person.get("PUT /providers/mail", {**account, "credentials": {"api_key": sendgrid.API_KEY}})
    return str(shown["receipts"]["url"])


async def report(person: Person, url: str, signer: SendGridSigner, events: list[dict[str, Any]]) -> int:
    """One signed webhook with these events; the status of the answer."""
    ((now_s,),) = await fetch(person.instance, "SELECT extract(epoch FROM clock_timestamp())::int")
    body = msgspec.json.encode([{"timestamp": now_s, **event} for event in events]) + b"\r\n"
    answer = await person.client.request(f"POST {url}", body=body, headers=signer.sign(body, now_s))
    return answer.status


async def test_a_campaign_shares_calls_and_everybody_gets_her_own(person: Person, vendor: VendorServer):
    """Few calls, each letter with its own name, block and links; the one address that is none costs only itself."""
    signer = SendGridSigner()
    url = await open_account(person, vendor, signer)
    template = await person.template("news", html=HTML)
    names = [f"user-{i}" for i in range(N)]
    people = [user(name, attributes={"first_name": name, "vip": i % 3 == 0}) for i, name in enumerate(names)]
    people[7]["email"] = "nobody@refused.example"
    for start in range(0, N, 100):
        await person.get("POST /users/batch", {"users": people[start : start + 100]})
    ids = await person.campaign(names, template=template)

    assert await person.all_over(N) == {"sent": N - 1, "failed": 1}
    double = cast("SendGridDouble", vendor.double)
    assert set(double.counts().values()) == {1}
    assert len(vendor.requests) < N / 5
    for one in double.arrived:
        name = one["to"].partition("@")[0]
        assert f"<h1>Hello {name}</h1>" in one["html"]
        assert f"?for={name}" in one["html"]
        assert ("Thank you." in one["html"]) == (int(name.removeprefix("user-")) % 3 == 0)
    assert len({one["html"] for one in double.arrived}) == N - 1

    delivered = [one["delivery_id"].hex() for one in double.arrived]
    events = [
        {
            "event": "delivered",
            "sg_event_id": f"e{place}",
            "clarion_delivery": ident,
            "email": "x@example.org",
        }
        for place, ident in enumerate(delivered)
    ]
    assert await report(person, url, signer, events) == 200
    assert await report(person, url, SendGridSigner(), events) == 401

    async def statuses() -> Counter[str]:
        return await person.statuses()

    assert await eventually(statuses, lambda found: found["delivered"] == N - 1)
    assert len(ids) == N
