"""Users, templates, categories, providers, contexts: written, read, replaced, removed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")

ORDER: dict[str, Any] = {
    "category": "service",
    "channels": {"email": {"subject": "Hi {{ user.first_name }}", "text": "{{ order }} {{ context.cart }}"}},
}


async def test_a_user_is_created_replaced_read_and_removed(caller: Caller):
    first = await caller.call("PUT /users/ada", {"email": "Ada@Example.com", "phone": "+44 20 7183 8750"})
    assert first.status == 201
    assert (first.json()["email"], first.json()["phone"]) == ("Ada@example.com", "+442071838750")
    assert (await caller.call("PUT /users/ada", {"language": "de"})).status == 200
    read = (await caller.call("GET /users/ada")).json()
    assert (read["user_id"], read["language"], read["email"]) == ("ada", "de", None)
    assert (await caller.call("DELETE /users/ada")).status == 204
    assert (await caller.call("GET /users/ada")).status == 404
    assert (await caller.call("DELETE /users/ada")).status == 404
    assert (await caller.call("POST /notifications", notification())).status == 422


@pytest.mark.parametrize("user_id", ["a/b", "ä ö", "a+b@c.org", "..", "%", "a?b#c", "日本"])
async def test_a_user_has_any_name_that_her_tenant_gives(caller: Caller, user_id: str):
    line = f"/users/{quote(user_id, safe='')}"
    assert (await caller.call(f"PUT {line}", {"email": "x@example.com"})).status == 201
    assert (await caller.call(f"GET {line}")).json()["user_id"] == user_id
    accepted = await caller.notify(user_id=user_id)
    shown = (await caller.call(f"GET /notifications/{accepted['notification_id']}")).json()
    assert shown["user_id"] == user_id
    assert (await caller.call(f"DELETE {line}")).status == 204


async def test_a_batch_of_users_stops_at_none(caller: Caller):
    users: list[Any] = [{"user_id": f"u{n}", "email": f"u{n}@example.com"} for n in range(300)]
    users[7] = {"user_id": "u7", "emial": "x"}
    users[8] = {"email": "nameless@example.com"}
    users[9] = {"user_id": "u9", "timezone": "Mars/Phobos"}
    results = (await caller.call("POST /users/batch", {"users": users})).json()["results"]
    failed = {result["index"]: result["error"]["path"] for result in results if "error" in result}
    assert failed == {7: "emial", 8: "user_id", 9: "timezone"}
    assert [r["change"] for r in results if "error" not in r] == ["created"] * 297
    again = (await caller.call("POST /users/batch", {"users": users[:3]})).json()["results"]
    assert [r["change"] for r in again] == ["unchanged"] * 3
    assert (await caller.call("GET /users/u299")).json()["email"] == "u299@example.com"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_of_users_that_is_none(caller: Caller, count: int):
    users = [{"user_id": "u"}] * count
    assert (await caller.call("POST /users/batch", {"users": users})).status == 400


async def test_each_write_of_a_template_is_a_version(caller: Caller):
    first = await caller.call("PUT /templates/order", ORDER)
    assert first.status == 200
    assert (first.json()["version"], first.json()["channels"]) == (1, ["email"])
    assert first.json()["variables"] == ["context.cart", "order", "user.first_name"]
    assert (await caller.call("PUT /templates/order", ORDER)).json()["version"] == 1
    changed = {"category": "service", "channels": {"sms": {"body": "new"}}}
    assert (await caller.call("PUT /templates/order", changed)).json()["version"] == 2
    latest = (await caller.call("GET /templates/order")).json()
    assert (latest["version"], [line["version"] for line in latest["versions"]]) == (2, [2, 1])
    old = (await caller.call("GET /templates/order?version=1")).json()
    assert old["channels"]["email"]["subject"] == ORDER["channels"]["email"]["subject"]
    assert (await caller.call("GET /templates/order?version=3")).status == 404
    assert (await caller.call("GET /templates/none")).status == 404
    listed = (await caller.call("GET /templates")).json()["templates"]
    assert listed == [
        {
            "name": "order",
            "version": 2,
            "live": 2,
            "category": "service",
            "channels": ["sms"],
            "data_schema": False,
        }
    ]


@pytest.mark.parametrize(
    ("content", "status", "path"),
    [
        ({**ORDER, "category": "gossip"}, 422, "category"),
        ({"category": "service", "channels": {}}, 400, "channels"),
        ({"category": "service", "channels": {"sms": {"body": "{{ oops"}}}, 400, "channels.sms.body"),
        ({"category": "service", "channels": {"fax": {}}}, 400, "channels.fax"),
    ],
)
async def test_a_template_that_cannot_be(caller: Caller, content: Any, status: int, path: str):
    answer = await caller.call("PUT /templates/t", content)
    assert answer.status == status
    assert answer.json()["errors"][0]["path"] == path


async def test_a_preview_renders_with_a_real_user_and_sends_nothing(caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/order", ORDER)
    await caller.call("POST /personalization/context", {"user_id": "ada", "context": {"cart": 3}})
    line = "POST /templates/order/preview"
    shown = (await caller.call(line, {"user_id": "ada", "data": {"order": "1815"}})).json()
    assert shown["channels"]["email"] == {"subject": "Hi Ada", "text": "1815 3"}
    made_up = {"user": {"first_name": "Bob"}, "context": {"cart": 4}, "data": {"order": "1"}}
    shown = (await caller.call(line, made_up)).json()
    assert shown["channels"]["email"] == {"subject": "Hi Bob", "text": "1 4"}
    assert (await caller.call("GET /notifications")).json()["notifications"] == []
    assert (await caller.call(line, {"user_id": "nobody"})).status == 422


async def test_a_preview_with_a_user_asks_for_the_right_to_read_her(api: Api, caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/order", ORDER)
    client = api.client(await api.key(caller.tenant_id, ["templates:read"]))
    line = "POST /api/v1/templates/order/preview"
    assert (await client.request(line, {})).status == 200
    assert (await client.request(line, {"user_id": "ada"})).status == 403


async def test_a_category_is_replaced_whole(caller: Caller):
    body = {"class": "marketing", "ttl": 60, "caps": {"per_day": 1}, "channels": ["email", "sms"]}
    shown = (await caller.call("PUT /categories/offers", body)).json()
    assert shown == {**body, "name": "offers", "on_ambiguity": "park", "max_channels": 1} | {
        "caps": {"per_day": 1, "per_channel_day": {}},
        "tracking": {"clicks": False, "opens": False},
        "words": {},
        "fallback": [],
    }
    assert (await caller.call("PUT /categories/offers", {"class": "service"})).json()[
        "on_ambiguity"
    ] == "retry"
    assert (await caller.call("GET /categories/offers")).json()["caps"]["per_day"] is None
    names = [one["name"] for one in (await caller.call("GET /categories")).json()["categories"]]
    assert names == ["marketing", "offers", "security", "service", "transactional"]
    assert (await caller.call("GET /categories/none")).status == 404


@pytest.mark.parametrize(
    ("name", "body", "path"),
    [
        ("all", {"class": "service"}, "name"),
        ("c", {}, "class"),
        ("c", {"class": "spam"}, "class"),
        ("c", {"class": "service", "ttl": 0}, "ttl"),
        ("c", {"class": "service", "channels": []}, "channels"),
        (
            "c",
            {"class": "service", "fallback": [{"channel": "sms"}, {"channel": "sms"}]},
            "fallback[1].channel",
        ),
        ("c", {"class": "service", "channels": ["fax"]}, "channels[0]"),
        ("c", {"class": "service", "caps": {"per_week": 1}}, "caps.per_week"),
        ("c", {"class": "service", "caps": {"per_channel_day": {"fax": 1}}}, "caps.per_channel_day"),
        ("c", {"class": "service", "caps": {"per_day": -1}}, "caps.per_day"),
    ],
)
async def test_a_category_that_cannot_be(caller: Caller, name: str, body: Any, path: str):
    answer = await caller.call(f"PUT /categories/{name}", body)
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path


SMTP: dict[str, Any] = {
    "kind": "smtp",
    "channel": "email",
    "settings": {"host": "127.0.0.1", "port": 2525, "tls": "none", "from": "shop@example.com"},
    "credentials": {"username": "shop", "password": "s3cret-of-the-shop"},
    "cost": {"default": 0.000125},
}


async def test_credentials_are_written_and_never_read(caller: Caller):
    first = await caller.call("PUT /providers/mail", SMTP)
    assert first.status == 200
    assert first.json()["credentials_set"] == ["password", "username"]
    assert first.json()["cost"]["default"] == 0.000125
    for line in ("GET /providers/mail", "GET /providers"):
        assert b"s3cret" not in (await caller.call(line)).body
    without = {name: value for name, value in SMTP.items() if name != "credentials"}
    kept = await caller.call("PUT /providers/mail", {**without, "weight": 3})
    assert (kept.json()["credentials_set"], kept.json()["weight"]) == (["password", "username"], 3)
    removed = await caller.call("PUT /providers/mail", {**without, "credentials": {}})
    assert removed.json()["credentials_set"] == []
    assert (await caller.call("DELETE /providers/mail")).status == 204
    assert (await caller.call("GET /providers/mail")).status == 404
    assert (await caller.call("DELETE /providers/mail")).status == 404


async def test_kept_credentials_do_not_go_to_another_kind(caller: Caller):
    await caller.call("PUT /providers/mail", SMTP)
    answer = await caller.call("PUT /providers/mail", {"kind": "sandbox", "channel": "email"})
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == "credentials"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"channel": "sms"}, "channel"),
        ({"settings": {"host": "x"}}, "settings.from"),
        ({"settings": {**SMTP["settings"], "tls": "maybe"}}, "settings.tls"),
        ({"settings": {**SMTP["settings"], "colour": 1}}, "settings.colour"),
        ({"credentials": {"username": "shop"}}, "credentials.password"),
        ({"cost": {"default": -1}}, "cost.default"),
        ({"cost": {"by_country": 1}}, "cost.by_country"),
        ({"weight": -1}, "weight"),
    ],
)
async def test_a_provider_that_cannot_be(caller: Caller, change: Any, path: str):
    answer = await caller.call("PUT /providers/mail", {**SMTP, **change})
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path


async def test_consent_is_recorded_and_read(caller: Caller):
    await caller.user()
    word = {"user_id": "ada", "channel": "all", "category": "all", "consented": True, "source": "form"}
    assert (await caller.call("POST /compliance/consent", word)).json() == {"recorded": True}
    shown = (await caller.call("GET /compliance/consent/ada")).json()
    assert shown["user_id"] == "ada"
    assert {entry["channel"] for entry in shown["consents"]} == {"email", "push", "sms"}
    assert shown["gdpr_status"] == "consented"
    wrong = {**word, "category": "gossip"}
    assert (await caller.call("POST /compliance/consent", wrong)).json()["errors"][0]["path"] == "category"


async def test_context_is_merged_and_bounded(api: Api, caller: Caller):
    await caller.user()
    line = "POST /personalization/context"
    assert (await caller.call(line, {"user_id": "ada", "context": {"a": 1, "b": 2}})).json() == {
        "updated": True
    }
    await caller.call(line, {"user_id": "ada", "context": {"b": None, "c": [3]}})
    region = api.gateway.region
    ids = await region.users.find_ids(caller.tenant_id, ["ada"])
    assert await region.contexts.read([ids["ada"]]) == [{"a": 1, "c": [3]}]
    many = {f"k{n}": n for n in range(101)}
    assert (await caller.call(line, {"user_id": "ada", "context": many})).status == 400


async def test_me(caller: Caller):
    me = (await caller.call("GET /me")).json()
    assert (me["scopes"], me["environment"]) == (["*"], "live")
