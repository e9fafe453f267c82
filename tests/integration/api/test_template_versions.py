"""Templates by their versions: drafts, promotion, roll-back, what `data` must be, previews and test sends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from clarion.entrypoints.api.template_trials import TEST_MARK
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"category": "transactional", "channels": {"email": {"subject": text, "text": text}}, **more}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}},
        }
    },
}
RIGHT: dict[str, Any] = {"items": [{"price": 1}]}
WRONG: dict[str, Any] = {"items": [{"price": 1}, {"price": 2}, {"price": 3}, {"price": "secret"}]}


async def sent_version(caller: Caller, **fields: Any) -> int:
    accepted = await caller.notify(template="hello", **fields)
    shown = await caller.call(f"GET /notifications/{accepted['notification_id']}")
    return shown.json()["template_version"]


async def test_a_draft_is_sent_only_after_it_was_promoted(caller: Caller):
    await caller.user()
    draft = (await caller.call("PUT /templates/hello?as=draft", said("one"))).json()
    assert (draft["version"], draft["live"], draft["new"]) == (1, None, True)
    refused = await caller.call("POST /notifications", notification(template="hello"))
    assert (refused.status, refused.json()["errors"][0]["path"]) == (422, "template")
    promoted = (await caller.call("POST /templates/hello/promote", {"version": 1})).json()
    assert (promoted["version"], promoted["previous"]) == (1, None)
    assert await sent_version(caller) == 1
    await caller.call("PUT /templates/hello?as=draft", said("two"))
    assert await sent_version(caller) == 1
    assert (await caller.call("GET /templates/hello")).json()["version"] == 2, "the latest is shown"
    assert (await caller.call("GET /templates/hello?version=live")).json()["version"] == 1


async def test_rolling_back_holds_for_what_is_accepted_next_and_says_who_did_it(caller: Caller):
    await caller.user()
    key_id = (await caller.call("GET /me")).json()["key_id"]
    for text in ("one", "two"):
        await caller.call("PUT /templates/hello", said(text))
    assert await sent_version(caller) == 2
    back = (await caller.call("POST /templates/hello/promote", {"version": 1})).json()
    assert (back["previous"], back["promoted_by"]) == (2, key_id)
    assert await sent_version(caller) == 1
    listed = (await caller.call("GET /templates/hello/versions")).json()
    lines = [(v["version"], v["live"], v["created_by"]) for v in listed["versions"]]
    assert lines == [(2, False, key_id), (1, True, key_id)]
    changes = [(p["version"], p["previous"], p["promoted_by"]) for p in listed["promotions"]]
    assert changes == [(1, 2, key_id), (2, 1, key_id), (1, None, key_id)]
    (line,) = (await caller.call("GET /templates")).json()["templates"]
    assert (line["version"], line["live"]) == (2, 1)


async def test_versions_are_read_by_the_page_and_one_by_one(caller: Caller):
    for i in range(5):
        await caller.call("PUT /templates/hello", said(f"text {i + 1}"))
    page = (await caller.call("GET /templates/hello/versions?limit=2")).json()
    assert ([v["version"] for v in page["versions"]], page["next_before"]) == ([5, 4], 4)
    page = (await caller.call("GET /templates/hello/versions?limit=3&before=4")).json()
    assert ([v["version"] for v in page["versions"]], page["next_before"]) == ([3, 2, 1], None)
    shown = (await caller.call("GET /templates/hello/versions/3")).json()
    assert (shown["version"], shown["channels"]["email"]["subject"]) == (3, "text 3")
    for unknown in ("0", "6", "x", "%D9%A3", "99999999999"):
        assert (await caller.call(f"GET /templates/hello/versions/{unknown}")).status == 404
    assert (await caller.call("GET /templates/none/versions")).status == 404


@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        ("POST /templates/hello/promote", {"version": 7}, 422),
        ("POST /templates/hello/promote", {"version": 0}, 400),
        ("POST /templates/hello/promote", {}, 400),
        ("POST /templates/none/promote", {"version": 1}, 404),
        ("PUT /templates/hello?as=final", said("x"), 400),
        ("POST /templates/hello/preview", {"channel": "sms"}, 400),
        ("POST /templates/hello/preview", {"version": 7}, 404),
        ("POST /templates/hello/test", {"user_id": "nobody"}, 422),
        ("POST /templates/hello/test", {"user_id": "ada", "version": 7}, 404),
    ],
)
async def test_what_cannot_be(caller: Caller, line: str, body: Any, status: int):
    await caller.call("PUT /templates/hello", said("one"))
    assert (await caller.call(line, body)).status == status


async def test_whoever_may_only_read_cannot_promote_or_send(api: Api, caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/hello", said("one"))
    client = api.client(await api.key(caller.tenant_id, ["templates:read"]))
    assert (await client.request("POST /api/v1/templates/hello/promote", {"version": 1})).status == 403
    assert (await client.request("POST /api/v1/templates/hello/test", {"user_id": "ada"})).status == 403
    assert (await client.request("GET /api/v1/templates/hello/versions")).status == 200


async def test_data_is_held_against_the_schema_of_the_live_version(caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/hello", said("one", data_schema=SCHEMA))
    assert await sent_version(caller, data=RIGHT) == 1
    refused = await caller.call("POST /notifications", notification(template="hello", data=WRONG))
    assert refused.status == 400
    assert refused.json()["errors"][0]["path"] == "data.items[3].price"
    assert b"secret" not in refused.body
    await caller.call("PUT /templates/hello", said("two"))
    assert await sent_version(caller, data=WRONG) == 2, "this version asks for nothing"


async def test_of_a_batch_only_the_item_that_does_not_fit_is_refused(caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/hello", said("one", data_schema=SCHEMA))
    items = [notification(template="hello", data=data) for data in (RIGHT, WRONG, {}, RIGHT)]
    answer = await caller.call("POST /notifications/batch", {"notifications": [*items, notification()]})
    results = answer.json()["results"]
    assert [r.get("error", {}).get("path") for r in results] == [
        None,
        "data.items[3].price",
        "data.items",
        None,
        None,
    ]
    assert all("notification_id" in results[i] for i in (0, 3, 4))


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"$ref": "http://127.0.0.1:1/schema"}, "data_schema.$ref"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "data_schema.properties.a.pattern"),
        ({"type": "objekt"}, "data_schema.type"),
        ([], "data_schema"),
    ],
)
async def test_a_schema_that_cannot_be_kept_is_refused_with_its_path(caller: Caller, schema: Any, path: str):
    answer = await caller.call("PUT /templates/hello", said("one", data_schema=schema))
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path


async def test_a_schema_is_kept_as_it_was_given(caller: Caller):
    await caller.call("PUT /templates/hello", said("one", data_schema=SCHEMA))
    assert (await caller.call("GET /templates/hello")).json()["data_schema"] == SCHEMA
    assert (await caller.call("PUT /templates/hello", said("one", data_schema=SCHEMA))).json()["version"] == 1
    changed: dict[str, Any] = {**SCHEMA, "required": []}
    assert (await caller.call("PUT /templates/hello", said("one", data_schema=changed))).json()[
        "version"
    ] == 2


async def test_many_accepts_at_once_meet_their_own_tenants_schema(caller: Caller, other: Caller):
    for each, kind in ((caller, "number"), (other, "string")):
        await each.user()
        schema = {"properties": {"n": {"type": kind}}}
        await each.call("PUT /templates/hello", said("one", data_schema=schema))
    calls = [
        each.call("POST /notifications", notification(template="hello", data={"n": value}))
        for _ in range(10)
        for each in (caller, other)
        for value in (1, "one")
    ]
    statuses = [answer.status for answer in await asyncio.gather(*calls)]
    assert statuses == [201, 400, 400, 201] * 10


async def test_a_preview_takes_a_version_and_a_channel_and_tells_what_the_schema_says(caller: Caller):
    both = said("{{ items[0].price }}", data_schema=SCHEMA)
    both["channels"]["sms"] = {"body": "two"}
    await caller.call("PUT /templates/hello", said("one"))
    await caller.call("PUT /templates/hello?as=draft", both)
    line = "POST /templates/hello/preview"
    live = (await caller.call(line, {"version": "live"})).json()
    assert (live["version"], live["channels"]["email"]["subject"]) == (1, "one")
    draft = (await caller.call(line, {"data": RIGHT, "channel": "email"})).json()
    assert draft["channels"] == {"email": {"subject": "1", "text": "1"}}
    assert draft["data_fault"] is None
    fault = (await caller.call(line, {"data": WRONG})).json()["data_fault"]
    assert fault == {"path": "data.items[3].price", "detail": 'is not of type "number"'}


async def test_a_test_send_goes_the_way_of_every_notification_and_is_marked(caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/hello", said("one"))
    await caller.call("PUT /templates/hello?as=draft", said("two", data_schema=SCHEMA))
    line = "POST /templates/hello/test"
    sent = await caller.call(line, {"user_id": "ada", "data": RIGHT}, headers={"idempotency-key": "once"})
    assert (sent.status, sent.json()["status"], sent.json()["channels"]) == (201, "queued", ["email"])
    shown = (await caller.call(f"GET /notifications/{sent.json()['notification_id']}")).json()
    assert (shown["template_version"], shown["metadata"]) == (2, {TEST_MARK: 2})
    again = await caller.call(line, {"user_id": "ada", "data": RIGHT}, headers={"idempotency-key": "once"})
    assert again.json() == sent.json(), "a repeat sends nothing"
    misfit = await caller.call(line, {"user_id": "ada", "data": WRONG})
    assert (misfit.status, misfit.json()["errors"][0]["path"]) == (400, "data.items[3].price")
    live = await caller.call(line, {"user_id": "ada", "version": "live"})
    shown = (await caller.call(f"GET /notifications/{live.json()['notification_id']}")).json()
    assert shown["template_version"] == 1


async def test_a_test_send_needs_the_consent_that_its_category_needs(caller: Caller):
    await caller.user()
    await caller.call("PUT /templates/hello", {**said("one"), "category": "marketing"})
    blocked = (await caller.call("POST /templates/hello/test", {"user_id": "ada"})).json()
    assert blocked["status"] == "blocked"
    assert {"channel": "email", "rule": "consent_missing"}.items() <= blocked["reasons"][0].items()


async def test_the_schema_of_a_template_is_told(caller: Caller):
    await caller.call("PUT /templates/hello", said("one", data_schema=SCHEMA))
    await caller.call("PUT /templates/hello?as=draft", said("two"))
    shown = (await caller.call("GET /templates/hello/schema")).json()
    assert shown["properties"] == SCHEMA["properties"]
    assert Draft202012Validator(shown).is_valid(RIGHT)
    anything = (await caller.call("GET /templates/hello/schema?version=2")).json()
    assert Draft202012Validator(anything).is_valid(WRONG)
    assert (await caller.call("GET /templates/none/schema")).status == 404


async def test_the_tenants_own_description_refuses_what_an_accept_refuses(caller: Caller, other: Caller):
    schema = {"required": ["items"], "properties": {"items": {"$ref": "#/$defs/items"}}}
    shared = {**schema, "$defs": {"items": SCHEMA["properties"]["items"]}}
    await caller.call("PUT /templates/hello", said("one", data_schema=shared))
    await caller.call("PUT /templates/free", said("one"))
    document = (await caller.call("GET /openapi.json")).json()
    asked = Draft202012Validator({"$ref": "#/components/schemas/NotificationRequest", **document})
    for template, data, fits in (
        ("hello", RIGHT, True),
        ("hello", WRONG, False),
        ("hello", {}, False),
        ("free", WRONG, True),
    ):
        assert asked.is_valid(notification(template=template, data=data)) is fits
    others = (await other.call("GET /openapi.json")).json()
    assert "allOf" not in others["components"]["schemas"]["NotificationRequest"]


async def test_saving_and_previewing_tell_what_could_be_better(caller: Caller):
    html = {"subject": "Sale", "html": '<p>Hi <img src="https://example.com/a.png"></p>'}
    content = {"category": "marketing", "channels": {"email": html}}
    saved = (await caller.call("PUT /templates/sale", content)).json()
    codes = {finding["code"]: finding["path"] for finding in saved["findings"]}
    assert codes["missing_unsubscribe"] == "channels.email.html"
    assert codes["missing_text"] == "channels.email.text"
    previewed = (await caller.call("POST /templates/sale/preview", {})).json()
    assert previewed["findings"] == saved["findings"]
