"""Broadcasts through a whole Clarion: audiences, books, steering."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clarion.testing.http import HttpClient
from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.support import Person, at_noon, fetch, run_clarion

SIDES = ("sent", "blocked", "failed", "unknown", "pending")


def holds(books: dict[str, int]) -> bool:
    return books["audience"] == sum(books[side] for side in SIDES)


async def broadcast(person: Person, **fields: Any) -> str:
    """Ask for a broadcast; its id."""
    body = {"category": "transactional", "data": {"subject": "Hello", "body": "Hello"}, **fields}
    return str((await person.insist("POST /broadcasts", body))["broadcast_id"])


async def show(person: Person, ident: str) -> dict[str, Any]:
    """A broadcast as it stands; its books must hold."""
    view = await person.get(f"GET /broadcasts/{ident}")
    assert view["balance"] is None or holds(view["balance"]), view
    return view


async def until(person: Person, ident: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """A broadcast once something is so; its books held whenever one looked."""

    async def ask() -> dict[str, Any]:
        return await show(person, ident)

    return await eventually(ask, is_so, within_s=30)


async def ends(person: Person, ident: str, status: str = "completed") -> dict[str, Any]:
    return await until(person, ident, lambda view: view["status"] == status)


async def collected(person: Person, ident: str) -> dict[str, Any]:
    return await until(person, ident, lambda view: view["status"] != "collecting")


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def hasten(person: Person, ident: str) -> None:
    """Let the time of a scheduled broadcast come."""
    for moved in (
        "UPDATE broadcast_chunks SET due_at = now() WHERE broadcast_id::text = $1",
        "UPDATE broadcasts SET paced_until = now() WHERE broadcast_id::text = $1",
    ):
        await fetch(person.instance, moved, ident)


async def test_everybody_is_told_once(person: Person):
    users = await person.users(30)

    view = await ends(person, await broadcast(person, audience="all"))

    assert view["balance"]["audience"] == view["balance"]["sent"] == 30
    told = await person.deliveries()
    assert sorted(one["user_id"] for one in told) == sorted(users)


async def test_an_empty_audience_is_soon_over(person: Person):
    view = await ends(person, await broadcast(person, audience="all"))

    assert view["balance"]["audience"] == 0
    assert view["ended_at"]


async def test_a_list_counts_each_name_once_and_says_who_is_nobody(person: Person):
    await person.users(3)

    names = ["user-0", "user-2", "user-0", "nobody", "somebody-else"]
    view = await ends(person, await broadcast(person, user_ids=names))

    books = view["balance"]
    assert (books["audience"], books["sent"], books["failed"]) == (4, 2, 2)
    assert books["refused"] == {"unknown_user": 2}


async def test_a_notification_says_whose_it_is(person: Person):
    await person.users(1)

    ident = await broadcast(person, audience="all", metadata={"campaign": "winter"})
    await ends(person, ident)

    (one,) = (await person.get("GET /notifications"))["notifications"]
    view = await person.get(f"GET /notifications/{one['notification_id']}")
    assert view["metadata"] == {"campaign": "winter", "broadcast_id": ident}


async def test_rules_block_and_the_books_say_which(person: Person):
    await person.users(4)
    consent = {"channel": "email", "category": "marketing", "consented": True, "source": "test"}
    await person.get("POST /compliance/consent", {"user_id": "user-1", **consent})
    for name in ("user-0", "user-1"):
        await person.get(f"PUT /users/{name}", {"email": f"{name}@example.org", "timezone": at_noon()})

    view = await ends(person, await broadcast(person, audience="all", category="marketing"))

    books = view["balance"]
    assert (books["sent"], books["blocked"]) == (1, 3)
    assert books["blocked_by"]["consent_missing"] == 3


async def test_the_snapshot_is_a_promise(person: Person):
    """Whoever came after it is not told, and whoever left is accounted for."""
    await person.users(3)
    ident = await broadcast(person, audience="all", rate_per_s=100, send_at=in_an_hour())
    assert (await collected(person, ident))["status"] == "scheduled"
    await person.get("DELETE /users/user-1")
    await person.get("PUT /users/late", {"email": "late@example.org"})

    await hasten(person, ident)
    books = (await ends(person, ident))["balance"]

    assert (books["audience"], books["sent"], books["failed"]) == (3, 2, 1)
    assert books["refused"] == {"unknown_user": 1}
    assert {one["user_id"] for one in await person.deliveries()} == {"user-0", "user-2"}


async def test_a_paused_broadcast_stands_still_until_it_goes_on(person: Person):
    await person.users(60)
    ident = await broadcast(person, audience="all", rate_per_s=20)
    await until(person, ident, lambda view: view["balance"]["sent"] > 0)

    paused = await person.get(f"POST /broadcasts/{ident}/pause")
    accepted = 60 - paused["balance"]["detail"]["waiting"]
    still = await until(person, ident, lambda view: view["balance"]["sent"] == accepted)
    assert paused["status"] == still["status"] == "paused"
    assert 0 < accepted < 60

    await person.get(f"POST /broadcasts/{ident}/resume")
    assert (await ends(person, ident))["balance"]["sent"] == 60


async def test_a_rate_is_kept(person: Person):
    await person.users(80)

    await ends(person, await broadcast(person, audience="all", rate_per_s=40))

    ((span,),) = await fetch(
        person.instance,
        "SELECT extract(epoch FROM max(created_at) - min(created_at))::float8 FROM notifications "
        "WHERE tenant_id::text = $1",
        person.tenant_id,
    )
    # Four chunks of 20, half a second apart; what is late by up to half a second is caught up with.
    assert 0.9 < span < 10


async def test_cancelling_takes_back_what_waits(person: Person):
    """Accepted for the best hour of each, which may be days away."""
    await person.users(40)
    ident = await broadcast(person, audience="all", optimization={"send_time": "optimal"}, rate_per_s=40)
    await until(person, ident, lambda view: 0 < view["balance"]["detail"].get("waiting", 0) < 40)

    cancelling = await person.get(f"POST /broadcasts/{ident}/cancel")
    books = (await ends(person, ident, "cancelled"))["balance"]

    assert cancelling["status"] in {"cancelling", "cancelled"}
    assert books["detail"]["cancelled"] + books["sent"] == 40
    assert books["detail"]["cancelled"] > 0
    open_left = "SELECT count(*) FROM open_deliveries WHERE tenant_id::text = $1"
    assert [tuple(row) for row in await fetch(person.instance, open_left, person.tenant_id)] == [(0,)]
    assert (await person.call(f"POST /broadcasts/{ident}/resume")).status == 409


async def test_each_recipient_is_told_at_her_own_hour(person: Person):
    """It is nine in Kiritimati fourteen hours before it is nine in London."""
    await person.get("PUT /users/east", {"email": "e@example.org", "timezone": "Pacific/Kiritimati"})
    await person.get("PUT /users/west", {"email": "w@example.org", "timezone": "Europe/London"})
    now_there = (datetime.now(UTC) + timedelta(hours=14)).replace(tzinfo=None)

    ident = await broadcast(person, audience="all", send_at=now_there.isoformat(timespec="seconds"))
    view = await until(person, ident, lambda view: view["balance"]["sent"] == 1)

    assert view["status"] == "scheduled"
    assert view["balance"]["pending"] == 1
    wait = datetime.fromisoformat(view["next_at"]) - datetime.now(UTC)
    assert timedelta(hours=12) < wait < timedelta(hours=15)
    (told,) = await person.deliveries()
    assert told["user_id"] == "east"


async def test_a_dry_run_sends_nothing_and_tells_volume_cost_and_rules(person: Person):
    await person.users(10)
    await person.get("PUT /users/mute", {"timezone": "Europe/Paris"})
    await person.get(
        "PUT /providers/sandbox-email", {"kind": "sandbox", "channel": "email", "cost": {"default": 0.002}}
    )

    ident = await broadcast(person, audience="all", dry_run=True)
    view = await ends(person, ident)

    forecast = view["forecast"]
    assert (forecast["audience"], forecast["examined"]) == (11, 11)
    assert (forecast["would_send"], forecast["would_block"]) == (10, 1)
    assert forecast["blocked_by"]["unreachable"] == 1
    assert forecast["channels"] == {"email": {"messages": 10, "cost": 0.02}}
    assert forecast["cost"] == 0.02
    assert await person.deliveries() == []


async def test_a_one_time_code_overtakes_broadcasts(person: Person):
    await person.users(2000)
    idents = [await broadcast(person, audience="all") for _ in range(4)]
    await until(person, idents[0], lambda view: view["balance"]["detail"].get("queued", 0) > 0)

    code = await person.notify(category="security", priority=0)
    assert await person.ends(code["notification_id"]) == "sent"

    for ident in idents:
        assert (await ends(person, ident))["balance"]["sent"] == 2000
    ((last, mine),) = await fetch(
        person.instance,
        "SELECT max(sent_at) FILTER (WHERE category = 'transactional'), "
        "max(sent_at) FILTER (WHERE category = 'security') FROM notifications WHERE tenant_id::text = $1",
        person.tenant_id,
    )
    assert mine < last


async def test_the_command_line_rehearses_sends_and_shows(live: Live, tmp_path: Path):
    """As the default tenant, whose users are this test's alone."""
    data = live.instance.data
    host, port = live.instance.address
    default = HttpClient(host, port, {"authorization": f"Bearer {live.instance.api_key}"})
    users = [{"user_id": f"cli-{i}", "email": f"cli-{i}@example.org"} for i in range(3)]
    assert (await default.request("POST /api/v1/users/batch", {"users": users})).status == 200
    offer, names = tmp_path / "offer.json", tmp_path / "names.txt"
    words = {"subject": "Offers", "body": "Twelve lamps"}
    offer.write_text(json.dumps({"name": "offer", "category": "transactional", "data": words}))
    names.write_text("cli-0\ncli-1\n\nnobody\n")

    dry = await run_clarion("broadcast", "dry-run", offer, "--to", f"@{names}", "--data", data)
    sent = await run_clarion("broadcast", "send", offer, "--to", f"@{names}", "--data", data)
    ident = sent.stderr.splitlines()[0].removeprefix("broadcast ")
    listed = await run_clarion("broadcast", "list", "--data", data)
    over = await run_clarion("broadcast", "pause", ident, "--data", data)
    wrong = await run_clarion("broadcast", "send", offer, "--to", "everybody", "--data", data)

    assert dry.code == sent.code == listed.code == 0, (dry, sent)
    assert "of 3 members 2 would be sent something (0 later), 0 blocked, 1 refused" in dry.stdout
    assert "audience 3 = 2 sent + 0 blocked + 1 failed + 0 unknown + 0 pending" in sent.stdout
    assert ident in listed.stdout
    assert over.code == 1
    assert "nothing to pause" in over.stderr
    assert wrong.code == 1
    assert "is none of" in wrong.stderr


@pytest.mark.parametrize("gold", ['user.plan == "gold"', 'user.plan.startsWith("go")'])
async def test_a_segment_is_an_audience_as_it_was_when_it_was_asked_for(person: Person, gold: str):
    """By what its attributes' index says, and by opening profiles."""
    await person.users(4)
    for name, plan in (("user-0", "gold"), ("user-2", "gold"), ("user-3", "silver")):
        profile = {"email": f"{name}@example.org", "attributes": {"plan": plan}}
        await person.get(f"PUT /users/{name}", profile)
    await person.get("PUT /segments/gold", {"expression": gold})

    ident = await broadcast(person, segment="gold")
    await person.get("PUT /segments/gold", {"expression": 'user.plan == "silver"'})
    view = await ends(person, ident)

    assert (view["to"], view["balance"]["sent"]) == ("gold", 2)
    assert {one["user_id"] for one in await person.deliveries()} == {"user-0", "user-2"}
