"""Routing as a tenant sees it: by price, by what arrives, by her policy; and the trace says why."""

from __future__ import annotations

from typing import Any

from clarion.testing.waiting import eventually
from tests.live.support import Person

GERMANY = "+49151234567{:02d}"
FRANCE = "+33612345678"


async def accounts(person: Person, **settings: dict[str, Any]) -> None:
    """A cheap account for text messages and a dear one. France is where the cheap one is dear."""
    prices: dict[str, dict[str, Any]] = {
        "cheap": {"default": 0.001, "by_country": {"FR": 0.009}},
        "dear": {"default": 0.004},
    }
    for name, cost in prices.items():
        body = {"kind": "sandbox", "channel": "sms", "cost": cost, "settings": settings.get(name, {})}
        await person.get(f"PUT /providers/{name}", body)
    await person.call("DELETE /providers/sandbox-sms")


async def readers(person: Person) -> list[str]:
    """Ten users in Germany, and `marie` in France."""
    people = [{"user_id": f"user-{i}", "phone": GERMANY.format(i)} for i in range(10)]
    body = {"users": [*people, {"user_id": "marie", "phone": FRANCE}]}
    await person.get("POST /users/batch", body)
    return [one["user_id"] for one in people]


async def text(person: Person, user_id: str = "user-0", **fields: Any) -> dict[str, Any]:
    """The attempt at one text message that is sent."""
    wanted = {"channel_selection": "specified", "channels": ["sms"]}
    answer = await person.notify(user_id=user_id, data={"body": "Hello"}, optimization=wanted, **fields)
    ident = answer["notification_id"]
    await eventually(lambda: person.status(ident), {"sent", "delivered", "failed"}.__contains__)
    return next(one for one in await person.attempts(ident) if one["outcome"] == "sent")


async def test_the_cheaper_account_for_each_country_and_the_trace_says_why(person: Person):
    await accounts(person)
    await readers(person)

    german, french = await text(person), await text(person, "marie")

    assert (german["provider"], french["provider"]) == ("cheap", "dear")
    route = german["route"]
    assert (route["policy"], route["reason"], route["destination"]) == ("balanced", "score", "DE")
    cheap, dear = route["candidates"]
    assert (cheap["provider"], cheap["price"], dear["price"]) == ("cheap", 0.001, 0.004)
    assert cheap["score"] > dear["score"]
    assert french["route"]["candidates"][0]["provider"] == "dear"


async def test_what_a_provider_does_not_deliver_goes_elsewhere_although_it_takes_it(person: Person):
    await accounts(person, cheap={"receipts": "failed", "receipt_delay_ms": 10})
    users = await readers(person)
    seen: list[str] = []

    async def another() -> str:
        found = [await text(person, user) for user in users[:5]]
        seen.extend(one["provider"] for one in found)
        return seen[-1]

    await eventually(another, "dear".__eq__)
    assert seen[0] == "cheap"
    last = await text(person)
    rates = {one["provider"]: one["delivery_rate"] for one in last["route"]["candidates"]}
    assert rates["cheap"] < rates["dear"] == 1


async def test_a_policy_and_its_pins_hold_from_the_next_message_on(person: Person):
    await accounts(person)
    await readers(person)
    pin = {"provider": "cheap", "category": "security"}
    await person.get("PUT /routing/sms", {"policy": "ordered", "order": ["dear", "cheap"], "pins": [pin]})

    first, pinned = await text(person), await text(person, category="security")

    assert (first["provider"], first["route"]["reason"]) == ("dear", "order")
    assert (pinned["provider"], pinned["route"]["reason"]) == ("cheap", "pin")
    await person.get("PUT /routing/sms", {"policy": "cost_optimized"})
    assert (await text(person))["provider"] == "cheap"
