"""The preference centre over HTTP: in the reader's language, with the tenant's words, and one way to end it all."""

from __future__ import annotations

import re

import pytest

from clarion.delivery.links.tokens import LinkKind
from tests.integration.api.support import Api, Caller
from tests.integration.api.test_links import FORM, Reader, kinds, reader_of, ticked

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEWS = {
    "class": "marketing",
    "channels": ["email"],
    "words": {"en": {"title": "Tea news", "description": "Once a week."}, "de": {"title": "Neues vom Tee"}},
}


async def language_of(reader: Reader, path: str, accept: str = "") -> str:
    answer = await reader.get(path, {"accept-language": accept} if accept else {})
    (found,) = re.findall(r'<html lang="(\w+)"', answer.body.decode())
    assert answer.headers["content-language"] == found
    return found


async def test_a_reader_is_answered_in_her_language_or_her_browsers_or_her_tenants(api: Api, caller: Caller):
    reader = await reader_of(api, caller)
    paths = [reader.link(LinkKind.PREFERENCES), reader.link(LinkKind.UNSUBSCRIBE, "marketing")]
    for path in paths:
        assert await language_of(reader, path) == "en"
        assert await language_of(reader, path, "pl, en;q=0.5") == "pl"
    await api.tenants.put_language(caller.tenant_id, "nl")
    api.gateway.region.configs.forget(caller.tenant_id)
    for path in paths:
        assert await language_of(reader, path) == "nl"
    await caller.user(language="ar-EG")
    for path in paths:
        assert await language_of(reader, path, "pl") == "ar"
    assert b' dir="rtl"' in (await reader.get(paths[0])).body
    assert await language_of(reader, "/p/nonsense", "ja") == "ja"


async def test_categories_are_shown_as_their_tenant_calls_them(api: Api, caller: Caller):
    shown = (await caller.call("PUT /categories/news", NEWS)).json()
    assert shown["words"]["de"] == {"title": "Neues vom Tee", "description": ""}
    reader = await reader_of(api, caller)
    path = reader.link(LinkKind.PREFERENCES)
    page = (await reader.get(path)).body.decode()
    assert "<bdi>Tea news</bdi><small>Once a week.</small>" in page
    german = (await reader.get(path, {"accept-language": "de"})).body.decode()
    assert "<bdi>Neues vom Tee</bdi>" in german
    assert "<bdi>Angebote und Neuigkeiten</bdi>" in german
    asked = await reader.get(reader.link(LinkKind.UNSUBSCRIBE, "news"), {"accept-language": "de"})
    assert "Neues vom Tee" in asked.body.decode()


@pytest.mark.parametrize(
    "words",
    [{"english": {"title": "x"}}, {"en": {}}, {"en": {"title": ""}}, {"en": {"title": "x", "html": "y"}}, []],
)
async def test_words_that_are_none_are_refused(caller: Caller, words: object):
    assert (await caller.call("PUT /categories/news", {**NEWS, "words": words})).status == 400


async def test_one_button_ends_everything_that_can_be_ended(api: Api, caller: Caller):
    reader = await reader_of(api, caller)
    path = reader.link(LinkKind.PREFERENCES)
    page = await reader.get(path)
    body = {"kind": kinds(page), "on": sorted(ticked(page)), "everything": "off"}
    saved = await reader.post(path, body)
    assert not ticked(saved) & {"email:*", "push:*", "sms:*"}
    said = await reader.consents()
    assert said == {("all", channel): (False, "preference_page") for channel in ("email", "push", "sms")}
    mail = {"optimization": {"channels": ["email"]}}
    assert [
        (await caller.notify(category=name, **mail))["status"] for name in ("service", "transactional")
    ] == [
        "blocked",
        "queued",
    ]


async def test_a_thousand_looks_change_nothing(api: Api, caller: Caller):
    reader = await reader_of(api, caller)
    paths = [
        reader.link(LinkKind.UNSUBSCRIBE, "marketing") + "?List-Unsubscribe=One-Click&scope=all",
        reader.link(LinkKind.PREFERENCES) + "?everything=off&kind=*",
    ]
    before = (await caller.call("GET /users/ada")).json()
    statuses = {(await reader.get(path)).status for _ in range(500) for path in paths}
    assert statuses == {200}
    assert await reader.consents() == {}
    assert (await caller.call("GET /users/ada")).json() == before


async def test_a_token_that_is_not_quite_one_does_nothing(api: Api, caller: Caller, other: Caller):
    reader = await reader_of(api, caller)
    theirs = await reader_of(api, other)
    for kind, prefix in ((LinkKind.UNSUBSCRIBE, "/u/"), (LinkKind.PREFERENCES, "/p/")):
        good = reader.link(kind, "marketing").removeprefix(prefix)
        foreign = theirs.link(kind, "marketing").removeprefix(prefix)
        half = len(good) // 2
        wrong = [
            good[:-1],
            good[:half],
            good + "A",
            good[:half] + foreign[half:],
            good.swapcase(),
            "A" * len(good),
        ]
        wrong += [
            good[:i] + ("A" if good[i] != "A" else "B") + good[i + 1 :] for i in range(0, len(good) - 1, 7)
        ]
        body = b"scope=all&everything=off"
        answers = [await reader.post(prefix + token, body, FORM) for token in wrong]
        assert {answer.status for answer in answers} == {404}
    assert await reader.consents() == {}
    assert await theirs.consents() == {}


async def test_a_token_that_is_used_again_says_the_same_again(api: Api, caller: Caller):
    """It is no one-time token: mail programs ask twice, and a reader may change her mind for as long as it is valid."""
    reader = await reader_of(api, caller)
    path = reader.link(LinkKind.UNSUBSCRIBE, "marketing")
    for _ in range(2):
        assert (await reader.post(path, b"List-Unsubscribe=One-Click")).status == 200
    word = {
        "user_id": "ada",
        "channel": "email",
        "category": "marketing",
        "consented": True,
        "source": "shop",
    }
    assert (await caller.call("POST /compliance/consent", word)).status == 200
    assert (await reader.post(path, b"List-Unsubscribe=One-Click")).status == 200
    assert await reader.consents() == {("marketing", "email"): (False, "one_click")}
