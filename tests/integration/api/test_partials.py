"""Partials: kept by version, put into templates, and what becomes of templates when one changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOOTER: dict[str, Any] = {"html": "<p>Bits {{ tenant.name }}</p>", "text": "Bits"}


def letter(body: str = '{% include "footer" %}', **more: Any) -> dict[str, Any]:
    email = {"subject": "Hi", "html": f"<p>Hello</p>{body}", "text": f"Hello {body}"}
    return {"category": "transactional", "channels": {"email": email}, **more}


async def text_of(caller: Caller, name: str, **wanted: Any) -> str:
    shown = await caller.call(f"POST /templates/{name}/preview", wanted)
    return shown.json()["channels"]["email"]["text"]


async def test_a_partial_is_kept_by_version_and_read(caller: Caller):
    first = (await caller.call("PUT /partials/footer", FOOTER)).json()
    assert first == {"name": "footer", "version": 1, "new": True, "templates": []}
    again = (await caller.call("PUT /partials/footer", FOOTER)).json()
    assert (again["version"], again["new"]) == (1, False)
    await caller.call("PUT /partials/footer", {**FOOTER, "text": "Bobs"})
    latest = (await caller.call("GET /partials/footer")).json()
    assert (latest["version"], latest["text"], latest["used_by"]) == (2, "Bobs", [])
    assert (await caller.call("GET /partials/footer?version=1")).json()["text"] == "Bits"
    assert (await caller.call("GET /partials/footer?version=3")).status == 404
    assert (await caller.call("GET /partials/none")).status == 404
    (line,) = (await caller.call("GET /partials")).json()["partials"]
    assert (line["name"], line["version"]) == ("footer", 2)


async def test_a_changed_partial_makes_the_live_templates_anew_and_keeps_what_was(caller: Caller):
    await caller.call("PUT /partials/footer", FOOTER)
    await caller.call("PUT /templates/order", letter())
    await caller.call("PUT /templates/other", letter("Bye"))
    assert await text_of(caller, "order") == "Hello Bits"
    changed = (await caller.call("PUT /partials/footer", {**FOOTER, "text": "Bobs"})).json()
    assert changed["templates"] == [{"name": "order", "version": 2}]
    assert await text_of(caller, "order", version="live") == "Hello Bobs"
    assert await text_of(caller, "order", version=1) == "Hello Bits", "what was accepted stays as it was"
    assert (await caller.call("GET /partials/footer")).json()["used_by"] == ["order"]
    assert (await caller.call("GET /templates/other")).json()["version"] == 1


async def test_templates_may_be_left_until_they_are_saved_again(caller: Caller):
    await caller.call("PUT /partials/footer", FOOTER)
    await caller.call("PUT /templates/order", letter())
    kept = (await caller.call("PUT /partials/footer?templates=keep", {**FOOTER, "text": "Bobs"})).json()
    assert (kept["version"], kept["templates"]) == (2, [])
    assert (await caller.call("POST /templates/order/preview", {})).json()["findings"] == []
    assert await text_of(caller, "order") == "Hello Bits"
    saved = (await caller.call("PUT /templates/order", letter())).json()
    assert (saved["version"], saved["new"]) == (2, True), (
        "the same words with another footer are a new version"
    )
    assert await text_of(caller, "order") == "Hello Bobs"


async def test_templates_that_were_left_are_made_anew_when_asked_later(caller: Caller):
    await caller.call("PUT /partials/footer", FOOTER)
    await caller.call("PUT /templates/order", letter())
    bobs = {**FOOTER, "text": "Bobs"}
    await caller.call("PUT /partials/footer?templates=keep", bobs)
    later = (await caller.call("PUT /partials/footer", bobs)).json()
    assert later == {
        "name": "footer",
        "version": 2,
        "new": False,
        "templates": [{"name": "order", "version": 2}],
    }
    assert (await caller.call("PUT /partials/footer", bobs)).json()["templates"] == []


async def test_a_partial_inside_a_partial_reaches_the_templates(caller: Caller):
    await caller.call("PUT /partials/address", {"text": "London", "html": "London"})
    inner = '{% include "address" %}'
    await caller.call("PUT /partials/footer", {"text": f"from {inner}", "html": f"<p>{inner}</p>"})
    await caller.call("PUT /templates/order", letter())
    changed = (await caller.call("PUT /partials/address", {"text": "Turin", "html": "Turin"})).json()
    assert changed["templates"] == [{"name": "order", "version": 2}]
    assert await text_of(caller, "order") == "Hello from Turin"


@pytest.mark.parametrize(
    "content",
    [
        {"text": "{{ oops", "html": "x"},
        {"text": '{% include "footer" %}', "html": "x"},
        {"text": '{% include "none" %}', "html": "x"},
        {"html": "only html"},
        {},
    ],
    ids=["syntax", "circle", "unknown", "a-kind-that-is-taken-is-gone", "empty"],
)
async def test_a_partial_that_would_break_something_changes_nothing(caller: Caller, content: Any):
    await caller.call("PUT /partials/footer", FOOTER)
    await caller.call("PUT /templates/order", letter())
    refused = await caller.call("PUT /partials/footer", content)
    assert refused.status == 400
    assert refused.json()["errors"][0]["detail"]
    assert (await caller.call("GET /partials/footer")).json()["version"] == 1
    assert (await caller.call("GET /templates/order")).json()["version"] == 1


async def test_a_template_cannot_take_a_partial_that_is_not_there(caller: Caller, other: Caller):
    await other.call("PUT /partials/footer", FOOTER)
    refused = await caller.call("PUT /templates/order", letter())
    assert (refused.status, refused.json()["errors"][0]["path"]) == (400, "channels.email.text")
    assert "footer" in refused.json()["errors"][0]["detail"]


async def test_of_saves_at_once_nothing_is_lost_between_partial_and_templates(caller: Caller):
    await caller.call("PUT /partials/footer", FOOTER)
    await caller.call("PUT /templates/order", letter())
    saves = [
        *(caller.call("PUT /partials/footer", {**FOOTER, "text": f"Bobs {i}"}) for i in range(4)),
        *(caller.call("PUT /templates/order", letter(f'{i} {{% include "footer" %}}')) for i in range(4)),
    ]
    answers = await asyncio.gather(*saves)
    assert {answer.status for answer in answers} <= {200, 409}
    footer = (await caller.call("GET /partials/footer")).json()
    assert (await text_of(caller, "order", version="live")).endswith(footer["text"])


async def test_a_preview_speaks_the_language_of_the_user_or_the_one_that_is_asked_for(caller: Caller):
    german = {"email": {"subject": "Hallo", "html": "<p>Hallo</p>", "text": "Hallo"}}
    said = letter("{{ links.unsubscribe }}", locales={"de": german}, locale="en")
    await caller.call("PUT /templates/order", said)
    await caller.user(language="de-AT")
    line = "POST /templates/order/preview"
    hers = (await caller.call(line, {"user_id": "ada"})).json()
    assert (hers["locale"], hers["channels"]["email"]["subject"]) == ("de", "Hallo")
    english = (await caller.call(line, {"user_id": "ada", "locale": "en-GB"})).json()
    assert (english["locale"], english["channels"]["email"]["subject"]) == ("en", "Hi")
    assert english["channels"]["email"]["text"].endswith("/u/preview"), "the links are nobody's"
    nobodys = (await caller.call(line, {"locale": "tlh"})).json()
    assert (nobodys["locale"], nobodys["channels"]["email"]["subject"]) == ("en", "Hi")


async def test_a_partial_that_makes_templates_run_too_long_is_refused_and_names_one(caller: Caller):
    await caller.call("PUT /partials/footer", FOOTER)
    await caller.call(
        "PUT /templates/order", letter('{% for i in range(1000) %}{% include "footer" %}{% endfor %}')
    )
    loops = "{% for i in range(1000) %}{% for j in range(1000) %}{{ i }}{% endfor %}{% endfor %}"
    refused = await caller.call("PUT /partials/footer", {"html": "x", "text": loops})
    assert refused.status == 400
    assert "template 'order' could not be sent with it" in refused.json()["errors"][0]["detail"]
    assert (await caller.call("GET /partials/footer")).json()["version"] == 1


async def test_many_templates_are_made_anew_in_one_save(caller: Caller):
    await caller.call("PUT /partials/footer", FOOTER)
    names = [f"t{i}" for i in range(12)]
    for name in names:
        await caller.call(f"PUT /templates/{name}", letter())
    changed = (await caller.call("PUT /partials/footer", {**FOOTER, "text": "Bobs"})).json()
    assert {line["name"] for line in changed["templates"]} == set(names)
    assert {line["version"] for line in changed["templates"]} == {2}
