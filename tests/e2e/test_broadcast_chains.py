"""Broadcasts whose message goes on to another channel: their books hold, and a cancel ends the chains too."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from clarion.testing.waiting import eventually
from tests.live.support import Person, count, fetch, ledger_holds, user

MEMBERS: Final = 20
CHAINS: Final = "SELECT state, count(*) AS n FROM fallbacks WHERE tenant_id = $1 GROUP BY state"
UNSENT: Final = "SELECT count(*) FROM open_deliveries WHERE tenant_id = $1"


async def broadcast(person: Person, after_s: int, **fields: Any) -> str:
    """A push to everybody that goes on to an SMS."""
    devices = [{"platform": "android", "token": f"{n:064}"} for n in range(MEMBERS)]
    members = [user(f"user-{n}", phone="+33612345678", device_tokens=[devices[n]]) for n in range(MEMBERS)]
    await person.get("POST /users/batch", {"users": members})
    body = {
        "audience": "all",
        "category": "transactional",
        "data": {"title": "Hello", "body": "Hello"},
        "optimization": {
            "channel_selection": "specified",
            "channels": ["push"],
            "fallback": [{"channel": "sms", "after_s": after_s}],
        },
        **fields,
    }
    return str((await person.get("POST /broadcasts", body))["broadcast_id"])


async def chains(person: Person) -> Counter[str]:
    """Her chains by state."""
    return Counter({row["state"]: row["n"] for row in await fetch(person.instance, CHAINS, person.tenant_id)})


async def test_everybody_who_was_not_reached_is_told_on_the_next_channel(person: Person):
    ident = await broadcast(person, 1)

    async def are_over() -> bool:
        return await chains(person) == {"exhausted": MEMBERS} and not await count(
            person.instance, UNSENT, person.tenant_id
        )

    assert await eventually(are_over)
    listed = Counter((one["channel"], one["status"]) for one in await person.deliveries())
    assert listed == {("push", "sent"): MEMBERS, ("sms", "sent"): MEMBERS}
    books = (await person.get(f"GET /broadcasts/{ident}"))["balance"]
    assert (books["audience"], books["sent"]) == (MEMBERS, MEMBERS), "a member counts once"
    assert await ledger_holds(person.instance.data)


async def test_a_cancelled_broadcast_goes_on_to_nobody(person: Person):
    ident = await broadcast(person, 3600, rate_per_s=10)

    async def has_begun() -> bool:
        return (await chains(person)).total() > 0

    assert await eventually(has_begun)
    await person.get(f"POST /broadcasts/{ident}/cancel")

    async def is_cancelled() -> bool:
        return (await person.get(f"GET /broadcasts/{ident}"))["status"] == "cancelled"

    assert await eventually(is_cancelled)
    assert set(await chains(person)) == {"cancelled"}
