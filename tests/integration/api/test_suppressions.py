"""The suppression list over HTTP: who is on it, who gets onto it, and who may be taken off it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESS = "ada@example.com"
BY_EMAIL = {"optimization": {"channels": ["email"]}}


async def listed(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = await caller.call(f"GET /suppressions{query}")
    assert answer.status == 200, answer.body
    return answer.json()["suppressions"]


async def add(caller: Caller, **fields: Any) -> int:
    return (await caller.call("POST /suppressions", {"channel": "email", **fields})).status


async def remove(caller: Caller, **fields: Any) -> int:
    body = {"channel": "email", "why": "It was wrong.", **fields}
    return (await caller.call("DELETE /suppressions", body)).status


async def grant(caller: Caller, channel: str = "email", category: str = "marketing") -> None:
    word = {"user_id": "ada", "channel": channel, "category": category, "consented": True, "source": "form"}
    assert (await caller.call("POST /compliance/consent", word)).status == 200


async def is_blocked(caller: Caller, category: str = "transactional") -> bool:
    return (await caller.notify(category=category, **BY_EMAIL))["status"] == "blocked"


async def test_who_is_put_on_the_list_is_written_to_no_more_and_shown_there(caller: Caller):
    await caller.user()
    assert not await is_blocked(caller)
    assert await add(caller, user_id="ada") == 200
    assert await is_blocked(caller)
    (shown,) = await listed(caller)
    assert shown.pop("created_at")
    assert shown == {
        "user_id": "ada",
        "channel": "email",
        "category": "all",
        "reason": "manual",
        "source": "suppression_list",
        "needs_review": False,
    }


async def test_an_address_is_silent_before_somebody_has_it_and_after_she_is_gone(caller: Caller):
    assert await add(caller, address=ADDRESS.upper(), reason="hard_bounce") == 200
    assert [one["user_id"] for one in await listed(caller)] == [None]
    await caller.user()
    assert await is_blocked(caller)
    assert [one["user_id"] for one in await listed(caller)] == ["ada"]
    await caller.call("DELETE /users/ada")
    assert [(one["user_id"], one["reason"]) for one in await listed(caller)] == [(None, "hard_bounce")]
    await caller.user("eve")
    assert (await caller.notify(user_id="eve", **BY_EMAIL))["status"] == "blocked"


async def test_the_list_is_asked_by_who_where_and_why(caller: Caller):
    await caller.user(phone="+15550100")
    await caller.user("eve", email="eve@example.com")
    assert await add(caller, user_id="ada", reason="complaint") == 200
    assert await add(caller, user_id="ada", channel="sms", reason="stop") == 200
    assert await add(caller, user_id="eve") == 200

    async def found(query: str) -> list[tuple[str, str]]:
        return [(one["user_id"], one["channel"]) for one in await listed(caller, query)]

    assert await found("") == [("eve", "email"), ("ada", "sms"), ("ada", "email")]
    assert await found("?user_id=ada") == [("ada", "sms"), ("ada", "email")]
    assert await found("?address=ADA%40example.com") == [("ada", "email")]
    assert await found("?address=%2B15550100") == [("ada", "sms")]
    assert await found("?channel=sms") == [("ada", "sms")]
    assert await found("?reason=manual") == [("eve", "email")]
    assert await found("?needs_review=true") == await found("?user_id=nobody") == []


async def test_pages_of_the_list_have_everybody_once(caller: Caller):
    batch = [{"address": f"u{i}@example.com", "channel": "email"} for i in range(7)]
    batch += [{"address": f"+1555010{i}", "channel": "sms"} for i in range(10, 14)]
    answer = (await caller.call("POST /suppressions/batch", {"suppressions": batch})).json()
    assert [one["suppressed"] for one in answer["results"]] == [True] * 11
    await caller.user("u1", email="u1@example.com")
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = (await caller.call(f"GET /suppressions?limit=3{cursor}")).json()
        seen += [f"{one['user_id']}{one['channel']}" for one in page["suppressions"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == ["Noneemail"] * 6 + ["Nonesms"] * 4 + ["u1email"]


async def test_what_is_wrong_with_one_of_a_batch_is_said_and_the_others_hold(caller: Caller):
    await caller.user()
    batch = [
        {"channel": "email", "user_id": "ada"},
        {"channel": "email", "user_id": "nobody"},
        {"channel": "email"},
        {"channel": "push", "address": ADDRESS},
        {"channel": "sms", "address": ADDRESS},
        {"channel": "email", "address": "no address"},
        {"channel": "email", "user_id": "ada", "category": "marketing"},
        {"channel": "email", "user_id": "ada", "category": "nothing", "reason": "unsubscribe"},
        {"channel": "email", "address": "x@example.com", "reason": "unsubscribe"},
        {"channel": "sms", "address": "+15550100", "reason": "stop"},
    ]
    results = (await caller.call("POST /suppressions/batch", {"suppressions": batch})).json()["results"]
    paths = [one.get("error", {}).get("path", "-") for one in results]
    assert paths == [
        "-",
        "user_id",
        "user_id",
        "address",
        "address",
        "address",
        "category",
        "category",
        "address",
        "-",
    ]
    assert len(await listed(caller)) == 2


async def test_an_unsubscribe_is_a_word_of_hers_and_leaves_her_receipts(caller: Caller):
    await caller.user()
    await grant(caller)
    assert await add(caller, address=ADDRESS, reason="unsubscribe", category="marketing") == 200
    assert [await is_blocked(caller, name) for name in ("marketing", "service", "transactional")] == [
        True,
        False,
        False,
    ]
    (shown,) = await listed(caller, "?reason=unsubscribe")
    assert (shown["user_id"], shown["category"]) == ("ada", "marketing")
    assert await remove(caller, user_id="ada") == 404


@pytest.mark.parametrize(
    ("reason", "status"), [("manual", 200), ("hard_bounce", 200), ("stop", 409), ("complaint", 409)]
)
async def test_a_tenant_takes_back_what_was_wrong_and_not_what_she_said(
    caller: Caller, reason: str, status: int
):
    await caller.user()
    assert await add(caller, address=ADDRESS, reason=reason) == 200
    assert await remove(caller, user_id="ada") == status
    assert await is_blocked(caller) is (status != 200)
    await grant(caller)
    assert not await is_blocked(caller, "marketing"), "her own express word ends it"
    assert await listed(caller) == []


async def test_what_is_not_silent_cannot_be_freed(caller: Caller):
    await caller.user()
    assert await remove(caller, user_id="ada") == 404
    assert await remove(caller, address="x@example.com") == 404
    assert await remove(caller, user_id="nobody") == 422
    assert await remove(caller, user_id="ada", why="") == 400
    assert await remove(caller) == 400


async def test_the_list_of_one_tenant_is_no_list_of_anothers(api: Api, caller: Caller, other: Caller):
    await caller.user()
    await other.user()
    assert await add(caller, address=ADDRESS) == 200
    page = (await caller.call("GET /suppressions?limit=1")).json()
    assert page["next_cursor"] is None
    assert await listed(other) == []
    assert await remove(other, user_id="ada") == 404
    assert not await is_blocked(other)
    assert await is_blocked(caller)
    reader = await api.key(caller.tenant_id, ["compliance:read"])
    answer = await api.client(reader).request(
        "POST /api/v1/suppressions", {"channel": "email", "user_id": "ada"}
    )
    assert answer.status == 403


@pytest.mark.parametrize(
    "cursor", ["x", "%C3%97", "AAAA", "MTox%00", "LTE6eA==", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTp4"]
)
async def test_a_cursor_that_is_none_is_refused(caller: Caller, cursor: str):
    assert (await caller.call(f"GET /suppressions?cursor={cursor}")).status == 400
