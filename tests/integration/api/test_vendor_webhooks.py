"""Vendors' own webhooks over HTTP: whom each answers how, and a storm of them."""

from __future__ import annotations

import asyncio
import base64
import hmac
import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.standard_webhooks import sign
from clarion.contracts.statuses import Status
from clarion.delivery.state_machine import RANK
from clarion.entrypoints.hooks.receipts import MAX_BYTES
from clarion.testing.http import HttpAnswer
from tests.integration.api.receipts_support import PLIVO, PLIVO_TOKEN, Delivery, Teller, sent
from tests.integration.api.support import Api, Caller
from tests.integration.providers.webhooks import MAILGUN_KEY, SendGridSigner, mailgun_body

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDER = "shop@example.org"
MAILGUN = {
    "kind": "mailgun",
    "channel": "email",
    "settings": {"from": SENDER, "domain": "mg.example.org"},
    "credentials": {"api_key": "key-1", "webhook_key": MAILGUN_KEY},
}
VONAGE = {
    "kind": "vonage",
    "channel": "sms",
    "settings": {"from": "Shop"},
    "credentials": {"api_key": "k", "api_secret": "s", "signature_secret": "x" * 32},
}
SMTP = {
    "kind": "smtp",
    "channel": "email",
    "settings": {"host": "127.0.0.1", "port": 1, "tls": "none", "from": SENDER},
}


async def account(caller: Caller, name: str, body: Mapping[str, Any]) -> tuple[str, str]:
    """Where the receipts of a new account go, and its secret where that is ours."""
    answer = await caller.call(f"PUT /providers/{name}", dict(body))
    assert answer.status == 200, answer.body
    shown = answer.json()["receipts"]
    return shown["url"], shown["signing_secret"]


async def post(api: Api, url: str, raw: bytes, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    return await api.client().request(f"POST {url}", body=raw, headers=headers)


class SendGrid:
    """An account with SendGrid, and SendGrid."""

    def __init__(self, api: Api, url: str, signer: SendGridSigner) -> None:
        self._api = api
        self._url = url
        self._signer = signer

    async def say(self, *events: Mapping[str, Any], forged: bool = False, age_s: int = 0) -> HttpAnswer:
        """One signed call with these events."""
        raw = msgspec.json.encode(list(events)) + b"\r\n"
        at_s = self._api.gateway.region.clock.now_ms() // 1000 - age_s
        signer = SendGridSigner() if forged else self._signer
        return await post(self._api, self._url, raw, signer.sign(raw, at_s))


@pytest_asyncio.fixture(loop_scope="session")
async def sendgrid(api: Api, caller: Caller) -> SendGrid:
    signer = SendGridSigner()
    settings = {"from": SENDER, "webhook_key": signer.public_key}
    body = {"kind": "sendgrid", "channel": "email", "settings": settings, "credentials": {"api_key": "SG.x"}}
    url, _ = await account(caller, "sendgrid", body)
    return SendGrid(api, url, signer)


def event(delivery: Delivery, kind: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "sg_event_id": f"{delivery.ident.hex()}-{kind}-{number}",
        "timestamp": 1_767_225_600 + number,
        "email": "ada@example.com",
        "clarion_delivery": delivery.ident.hex(),
        **fields,
    }


async def test_a_day_late_and_in_the_wrong_order_they_say_the_same(
    api: Api, caller: Caller, sendgrid: SendGrid
):
    await caller.user()
    delivery = await sent(api, caller)
    for said in (
        event(delivery, "open", 9),
        event(delivery, "delivered", 5),
        event(delivery, "processed", 1),
    ):
        assert (await sendgrid.say(said)).json() == {"received": 1}
    await Teller(api, caller).fold()
    shown = await delivery.shown()
    assert (shown["status"], shown["delivered_at"]) == ("engaged", "2026-01-01T00:00:05.000Z")


async def test_events_about_nobodys_mail_of_ours_are_answered_and_left(
    api: Api, caller: Caller, sendgrid: SendGrid
):
    await caller.user()
    delivery = await sent(api, caller)
    answer = await sendgrid.say(
        event(delivery, "bounce", clarion_delivery=None), {"event": "from the future"}
    )
    assert (answer.status, answer.json()) == (200, {"received": 0})


async def test_a_forged_and_an_old_call_are_refused(api: Api, caller: Caller, sendgrid: SendGrid):
    await caller.user()
    delivery = await sent(api, caller)
    assert (await sendgrid.say(event(delivery, "bounce"), forged=True)).status == 401
    assert (await sendgrid.say(event(delivery, "bounce"), age_s=400)).status == 401


async def test_mailgun_is_told_never_to_come_again_with_what_is_never_taken(api: Api, caller: Caller):
    url, _ = await account(caller, "mailgun", MAILGUN)
    now_s = api.gateway.region.clock.now_ms() // 1000
    assert (await post(api, url, mailgun_body({"event": "delivered"}, now_s, key="wrong"))).status == 406
    assert (await post(api, url, b"[]")).status == 406
    good = mailgun_body({"event": "delivered"}, now_s)
    assert (await post(api, url, good)).status == 200


async def test_vonage_is_asked_to_call_again_where_it_did_not_sign(api: Api, caller: Caller):
    url, _ = await account(caller, "vonage", VONAGE)
    said = {"content-type": "application/x-www-form-urlencoded"}
    answer = await post(api, url, b"messageId=1&status=delivered", said)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)


async def test_a_bounced_mail_comes_in_as_it_is(api: Api, caller: Caller):
    await caller.user()
    url, secret = await account(caller, "relay", SMTP)
    delivery = await sent(api, caller)
    mail = (
        f"From: MAILER-DAEMON@mx.example.net\r\nTo: bounces+{delivery.ident.hex()}@example.org\r\n"
        "Subject: Undelivered\r\n\r\n550 5.1.1 User unknown\r\n"
    ).encode()
    at_s = api.gateway.region.clock.now_ms() // 1000
    headers = {
        "content-type": "message/rfc822",
        "webhook-id": "1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": sign(secret, "1", at_s, mail),
    }
    assert (await post(api, url, mail, headers)).json() == {"received": 1}
    assert (await post(api, url, mail.replace(b"550", b"551"), headers)).status == 401
    await Teller(api, caller).fold()
    assert (await delivery.shown())["status"] == "failed"
    answer = await caller.notify(optimization={"channel_selection": "specified", "channels": ["email"]})
    assert answer["reasons"][0]["rule"] == "suppressed"


async def test_a_body_without_end_is_not_read(api: Api, caller: Caller):
    url, _ = await account(caller, "mailgun", MAILGUN)
    assert (await post(api, url, b"x" * (MAX_BYTES + 1))).status == 413


async def test_a_vendor_that_says_it_in_the_query_is_heard(api: Api, caller: Caller):
    url, _ = await account(caller, "plivo", PLIVO)
    said = f"{url}&MessageUUID=u-1&Status=delivered"
    settings = api.gateway.region.settings
    query = sorted(pair.split("=", 1) for pair in said.partition("?")[2].split("&"))
    text = f"http://{settings.host}:{settings.port}{said.partition('?')[0]}?"
    text += "&".join(f"{name}={value}" for name, value in query) + ".n-get"
    signature = base64.b64encode(hmac.digest(PLIVO_TOKEN.encode(), text.encode(), "sha256")).decode()
    headers = {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": "n-get"}
    answer = await api.client().request(f"GET {said}", headers=headers)
    assert (answer.status, answer.json()) == (200, {"received": 1})
    forged = await api.client().request(f"GET {said}&Status=failed", headers=headers)
    assert forged.status == 401


KINDS: dict[str, Status] = {
    "processed": "sent",
    "deferred": "sent",
    "dropped": "failed",
    "delivered": "delivered",
    "open": "engaged",
}


async def test_in_a_storm_every_delivery_ends_where_its_best_word_puts_it(
    api: Api, caller: Caller, sendgrid: SendGrid
):
    """Each word three times, in any order, forged ones in between, folded by three projectors while they come."""
    chance = random.Random(4)
    await caller.user()
    deliveries = await asyncio.gather(*(sent(api, caller) for _ in range(40)))
    expected: dict[bytes, Status] = {}
    words: list[dict[str, Any]] = []
    for delivery in deliveries:
        kinds = chance.sample(sorted(KINDS), chance.randint(1, 4))
        expected[delivery.ident] = max((KINDS[kind] for kind in kinds), key=RANK.__getitem__)
        words += [event(delivery, kind, number) for number, kind in enumerate(kinds)] * 3
    chance.shuffle(words)
    forged = [event(delivery, "open") for delivery in deliveries]
    calls = [words[i : i + 12] for i in range(0, len(words), 12)]
    teller = Teller(api, caller)
    folding = [asyncio.create_task(teller.fold()) for _ in range(3)]
    answers = await asyncio.gather(
        *(sendgrid.say(*each) for each in calls), *(sendgrid.say(*forged, forged=True) for _ in range(5))
    )
    assert [answer.status for answer in answers] == [200] * len(calls) + [401] * 5
    await asyncio.gather(*folding)
    await teller.fold(again=True)
    async with api.gateway.region.pools.pipeline() as connection:
        rows = await connection.fetch(
            "SELECT global_id, status, jsonb_array_length(attempt_log) AS entries FROM notifications "
            "WHERE tenant_id = $1",
            caller.tenant_id,
        )
    assert {row["global_id"]: row["status"] for row in rows} == expected
    assert max(row["entries"] for row in rows) <= 3, "an attempt, a deferral and a drop, each once"
