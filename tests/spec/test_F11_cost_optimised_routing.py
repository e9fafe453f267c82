"""F-11, cost-optimised routing.

Read as: a tenant who wants it cheap gets each message through the account that is cheapest for where it goes, as long
as that one works; a change of price counts from the next second on; every delivery says what it cost, and the report
what the choice saved. The specification's own text is not in this repository.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest

from clarion.testing.waiting import eventually
from tests.live.support import Person

N: Final = 12
TEXT: Final = {"channel_selection": "specified", "channels": ["sms"]}


async def account(person: Person, name: str, default: float, **by_country: float) -> None:
    """An account for text messages at these prices."""
    body = {"kind": "sandbox", "channel": "sms", "cost": {"default": default, "by_country": by_country}}
    await person.get(f"PUT /providers/{name}", body)


async def with_number(person: Person, name: str, number: str) -> str:
    await person.get(f"PUT /users/{name}", {"phone": number, "timezone": "UTC"})
    return name


async def sent_through(person: Person, users: list[str]) -> Counter[tuple[str, str, float]]:
    """How many messages each account sent to whom, and what one cost."""
    idents = await person.campaign(users, category="security", data={"body": "Hello"}, optimization=TEXT)
    found: Counter[tuple[str, str, float]] = Counter()
    for ident, name in zip(idents, users, strict=True):
        await person.ends(ident)
        (delivery,) = (await person.get(f"GET /notifications/{ident}"))["deliveries"]
        found[name, delivery["provider"], delivery["provider_cost"]] += 1
    return found


async def test_F11_each_message_goes_where_it_is_cheapest_and_says_what_it_cost(person: Person):
    await person.get("DELETE /providers/sandbox-sms")
    await account(person, "one", 0.05, FR=0.02)
    await account(person, "two", 0.03, FR=0.08)
    await person.get("PUT /routing/sms", {"policy": "cost_optimized"})
    await with_number(person, "paris", "+33612345678")
    await with_number(person, "berlin", "+4915123456789")

    assert await sent_through(person, ["paris", "berlin"] * (N // 2)) == {
        ("paris", "one", 0.02): N // 2,
        ("berlin", "two", 0.03): N // 2,
    }

    async def saved() -> Any:
        return await person.get("GET /analytics/cost?group_by=provider")

    report = await eventually(saved, lambda found: found["total_sent"] == N, within_s=20)
    assert report["total_cost"] == pytest.approx(N // 2 * 0.05)
    # By lot it would have been (0.02 + 0.08) / 2 to Paris and (0.05 + 0.03) / 2 to Berlin.
    assert report["optimization_savings"] == pytest.approx(N // 2 * (0.09 - 0.05))

    await account(person, "one", 0.05, FR=0.2)
    assert await eventually_through(person, "paris") == "two"


async def eventually_through(person: Person, name: str) -> str:
    """Through whom a message goes once the change is known everywhere."""

    async def through() -> str:
        ((found, _),) = (await sent_through(person, [name])).items()
        return found[1]

    return await eventually(through, lambda provider: provider == "two", within_s=10)
