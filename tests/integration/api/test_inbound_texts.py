"""People who answer text messages: what they say holds before the vendor has its answer, and is confirmed once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from clarion.adapters.providers.twilio.receipts import signature
from clarion.adapters.providers.vonage.receipts import sign_fields
from clarion.bootstrap import public_url_of
from clarion.testing.http import HttpAnswer
from tests.integration.api.receipts_support import PLIVO, plivo_calls
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = "+61491570156"
OURS = "+15550100099"
TOKEN = "twilio-token"
TWILIO = {
    "kind": "twilio",
    "channel": "sms",
    "settings": {"account_sid": "AC" + "0" * 32, "from": OURS},
    "credentials": {"auth_token": TOKEN},
}
SECRET = "x" * 32
VONAGE = {
    "kind": "vonage",
    "channel": "sms",
    "settings": {"from": "Shop", "signature_method": "sha256"},
    "credentials": {"api_key": "k", "api_secret": "s", "signature_secret": SECRET},
}
BY_SMS = {"optimization": {"channels": ["sms"]}}


@dataclass
class Texter:
    """Ada, with a telephone, and Twilio in between."""

    api: Api
    caller: Caller
    url: str
    count: int = field(default=0)

    async def text(self, body: str, **fields: str) -> HttpAnswer:
        """Twilio's call with a text of hers."""
        self.count += 1
        sent = {"MessageSid": f"SM{self.count:032d}", "SmsStatus": "received", "From": PHONE, "To": OURS}
        return await self.call(sent | {"Body": body} | fields)

    async def call(self, fields: dict[str, str], token: str = TOKEN) -> HttpAnswer:
        url = public_url_of(self.api.gateway.region.settings) + self.url
        joined = "".join(name + value for name, value in sorted(fields.items()))
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature(token, url + joined),
        }
        return await self.api.client().request(
            f"POST {self.url}", body=urlencode(fields).encode(), headers=headers
        )

    async def gets(self, category: str = "marketing", user_id: str = "ada") -> bool:
        answer = await self.caller.notify(category=category, user_id=user_id, **BY_SMS)
        return answer["status"] != "blocked"

    async def listed(self, query: str = "") -> list[dict[str, Any]]:
        return (await self.caller.call(f"GET /suppressions{query}")).json()["suppressions"]


@pytest_asyncio.fixture(loop_scope="session")
async def ada(api: Api, caller: Caller) -> Texter:
    await caller.user(phone=PHONE, country="AU", timezone="Australia/Sydney")
    for name in ("marketing", "service"):
        word = {"user_id": "ada", "channel": "sms", "category": name, "consented": True, "source": "form"}
        assert (await caller.call("POST /compliance/consent", word)).status == 200
    shown = (await caller.call("PUT /providers/texts", TWILIO)).json()["receipts"]
    return Texter(api, caller, shown["url"])


async def test_stop_ends_every_text_and_start_takes_it_back(ada: Texter):
    assert await ada.gets()
    answer = await ada.text("Stop please!")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/xml")
    assert b"<Message>" in answer.body
    assert [await ada.gets(name) for name in ("marketing", "service", "transactional", "security")] == [
        False,
        False,
        False,
        True,
    ]
    (shown,) = await ada.listed()
    assert (shown["reason"], shown["source"], shown["needs_review"]) == ("stop", "sms_keyword", False)
    assert b"<Message>" in (await ada.text("start pls")).body
    assert await ada.gets()
    assert await ada.listed() == []


async def test_one_confirmation_and_none_where_the_vendor_says_it_itself(ada: Texter):
    answers = [
        await ada.text(said) for said in ("please stop", "please stop", "STOP", "start over", "UNSTOP")
    ]
    assert [b"<Message>" in answer.body for answer in answers] == [True, False, False, False, False]
    said = await ada.text("Bitte nicht mehr", OptOutType="STOP")
    assert b"<Message>" not in said.body
    assert not await ada.gets()
    assert b"<Message>" not in (await ada.text("START", OptOutType="START")).body
    assert await ada.gets()


async def test_who_never_stopped_agrees_to_nothing_by_yes(ada: Texter):
    assert b"<Message>" not in (await ada.text("oui")).body
    assert b"<Message>" not in (await ada.text("See you at eight")).body
    await ada.caller.user("eve", phone="+61491570157", country="AU")
    await ada.text("yes!", From="+61491570157")
    assert not await ada.gets(user_id="eve")


async def test_help_names_the_sender_in_her_language(ada: Texter):
    await ada.caller.user(phone=PHONE, language="de-CH")
    body = (await ada.text("hilfe")).body.decode()
    assert "Antworten Sie STOP" in body
    assert await ada.gets()


async def test_what_looks_like_stop_stops_until_somebody_has_looked(ada: Texter):
    await ada.text("stpo")
    assert not await ada.gets()
    (shown,) = await ada.listed("?needs_review=true")
    assert shown["reason"] == "stop"
    body = {"channel": "sms", "user_id": "ada", "why": "She meant the bus."}
    assert (await ada.caller.call("DELETE /suppressions", body)).json() == {"removed": 1}
    assert await ada.gets()
    await ada.text("stpo")
    await ada.text("please stop")
    assert await ada.listed("?needs_review=true") == [], "said clearly it need not be looked at"
    assert (await ada.caller.call("DELETE /suppressions", body)).status == 409


async def test_after_stop_only_an_express_grant_for_texts_counts(ada: Texter):
    await ada.text("please stop")
    for channel in ("all", "email"):
        word = {
            "user_id": "ada",
            "channel": channel,
            "category": "marketing",
            "consented": True,
            "source": "x",
        }
        assert (await ada.caller.call("POST /compliance/consent", word)).status == 200
        assert not await ada.gets()
    word = {"user_id": "ada", "channel": "sms", "category": "marketing", "consented": True, "source": "form"}
    assert (await ada.caller.call("POST /compliance/consent", word)).status == 200
    assert await ada.gets()


async def test_a_number_that_is_nobodys_is_silent_when_somebody_gets_it(ada: Texter):
    await ada.text("please stop", From="+61491570158")
    assert [one["user_id"] for one in await ada.listed()] == [None]
    await ada.caller.user("eve", phone="+61491570158", country="AU")
    assert not await ada.gets("service", "eve")
    assert await ada.gets()


async def test_of_several_who_share_a_number_all_are_silent(ada: Texter):
    await ada.caller.user("eve", phone=PHONE, country="AU")
    await ada.text("please stop")
    assert not await ada.gets("service", "eve")
    assert not await ada.gets("service")


async def test_a_forged_and_a_repeated_call_change_nothing(ada: Texter):
    stop = {"MessageSid": "SMx", "SmsStatus": "received", "From": PHONE, "To": OURS, "Body": "please stop"}
    assert (await ada.call(stop, "wrong")).status == 401
    assert await ada.gets()
    assert (await ada.call(stop)).status == 200
    await ada.text("start pls")
    assert (await ada.call(stop)).status == 200
    assert await ada.gets(), "a recorded STOP that is played again is none"


async def test_one_tenants_stop_is_not_anothers(ada: Texter, other: Caller):
    await other.user(phone=PHONE, country="AU")
    await ada.text("please stop")
    answer = await other.notify(category="service", **BY_SMS)
    assert answer["status"] != "blocked"


async def stop_category(ada: Texter) -> None:
    tenants = ada.api.tenants
    config = await tenants.load_config(ada.caller.tenant_id)
    chosen = type(config.tenant.compliance)(opt_out_scope="category")
    await tenants.put_compliance(ada.caller.tenant_id, chosen)
    ada.api.gateway.region.configs.forget(ada.caller.tenant_id)


async def texted(ada: Texter, category: str) -> None:
    await ada.caller.notify(category=category, **BY_SMS)
    async with ada.api.gateway.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE notifications SET sent_at = now() WHERE tenant_id = $1 AND category = $2",
            ada.caller.tenant_id,
            category,
        )


async def test_a_tenant_may_let_stop_end_what_it_answers(ada: Texter):
    await stop_category(ada)
    await texted(ada, "marketing")
    assert b"<Message>" in (await ada.text("please stop")).body
    assert (await ada.gets(), await ada.gets("service")) == (False, True)
    (shown,) = await ada.listed()
    assert (shown["reason"], shown["category"]) == ("unsubscribe", "marketing")
    assert b"<Message>" not in (await ada.text("stop please")).body
    assert b"<Message>" in (await ada.text("start pls")).body
    assert await ada.gets()


async def test_where_it_is_not_known_what_she_answers_everything_ends(ada: Texter):
    await stop_category(ada)
    await texted(ada, "transactional")
    await ada.text("please stop")
    assert not await ada.gets("service")


async def test_plivo_and_vonage_bring_texts_too(ada: Texter):
    shown = (await ada.caller.call("PUT /providers/plivo", PLIVO)).json()["receipts"]
    said = {"From": PHONE[1:], "To": OURS[1:], "Text": "stop", "Type": "sms", "MessageUUID": "p1"}
    answer = await plivo_calls(ada.api, shown["url"], "nonce-1", said)
    assert (answer.status, f'dst="{PHONE}"'.encode() in answer.body) == (200, True)
    assert not await ada.gets()

    url = (await ada.caller.call("PUT /providers/vonage", VONAGE)).json()["receipts"]["url"]
    fields = {"msisdn": PHONE[1:], "to": OURS[1:], "messageId": "v1", "text": "start", "type": "text"}
    now_s = ada.api.gateway.region.clock.now_ms() // 1000
    fields |= {"timestamp": str(now_s), "nonce": hashlib.sha256(url.encode()).hexdigest()}
    signed = fields | {"sig": sign_fields(fields, SECRET, "sha256")}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await ada.api.client().request(f"POST {url}", body=urlencode(signed).encode(), headers=kind)
    assert (answer.status, answer.json()) == (200, {"received": 1})
    assert await ada.gets()
