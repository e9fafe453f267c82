"""A whole Clarion in front of vendors of text messages: what they say later, and what they will not carry."""

from __future__ import annotations

import base64
import hmac
from typing import Any, Final, cast
from urllib.parse import urlencode

from clarion.adapters.providers.plivo.receipts import v3_text
from clarion.adapters.providers.webhooks import WebhookCall
from clarion.testing.vendors import PlivoDouble, TwilioDouble, VendorServer, plivo, serve, twilio
from clarion.testing.waiting import eventually
from tests.live.support import Person, user

N: Final = 40
OPTED_OUT: Final = "+15005550004"
"""Twilio's test number for who has answered STOP."""


async def open_account(
    person: Person, kind: str, settings: dict[str, Any], token: str, vendor: VendorServer
) -> str:
    """Send texts through a vendor from now on; where its webhooks go."""
    account = {
        "kind": kind,
        "channel": "sms",
        "settings": {**settings, "base_url": vendor.url},
        "credentials": {"auth_token": token},
    }
    shown = await person.get("PUT /providers/texts", account)
    return str(shown["receipts"]["url"])


async def report(person: Person, path: str, fields: dict[str, str], nonce: str) -> int:
    """A callback of Plivo, signed for the address at which this installation is called."""
    host, port = person.instance.address
    call = WebhookCall("POST", f"http://{host}:{port}{path}", {}, urlencode(fields).encode(), 0)
    signed = hmac.digest(plivo.AUTH_TOKEN.encode(), v3_text(call, nonce).encode(), "sha256")
    headers = {
        "authorization": "",
        "content-type": "application/x-www-form-urlencoded",
        "x-plivo-signature-v3": base64.b64encode(signed).decode(),
        "x-plivo-signature-v3-nonce": nonce,
    }
    return (await person.client.request(f"POST {path}", body=call.raw, headers=headers)).status


async def test_equal_texts_share_calls_and_each_gets_its_own_report(person: Person):
    """Plivo echoes no id of ours: what it calls each message leads its report to the delivery, and the price too."""
    async with serve(PlivoDouble()) as vendor:
        settings = {"auth_id": plivo.AUTH_ID, "from": "+15005550006"}
        path = await open_account(person, "plivo", settings, plivo.AUTH_TOKEN, vendor)
        people = [user(f"user-{n}", phone=f"+1202555{n:04}") for n in range(N)]
        await person.get("POST /users/batch", {"users": people})
        wanted = {"optimization": {"channels": ["sms"]}}
        ids = await person.campaign([one["user_id"] for one in people], **wanted)
        assert await person.all_over(N) == {"sent": N}
        assert len(vendor.requests) < N / 4
        assert {one["dst"] for one in cast("PlivoDouble", vendor.double).arrived} == {
            one["phone"] for one in people
        }

        first = (await person.get(f"GET /notifications/{ids[0]}"))["deliveries"][0]
        fields = {"MessageUUID": first["provider_message_id"], "Status": "delivered", "TotalAmount": "0.0055"}
        assert await report(person, path, fields, "nonce-1") == 200
        assert await report(person, path, fields, "nonce-1") == 200  # played again: taken once
        assert await report(person, path, {**fields, "Status": "undelivered"}, "") == 401

        async def is_delivered() -> bool:
            return await person.status(ids[0]) == "delivered"

        await eventually(is_delivered)
        told = (await person.get(f"GET /notifications/{ids[0]}"))["deliveries"][0]
        assert float(told["provider_cost"]) == 0.0055


async def test_whom_a_vendor_says_that_she_opted_out_gets_no_more_texts(person: Person):
    """The refusal of one message is the opt-out: the next is blocked here, and the vendor is not asked."""
    async with serve(TwilioDouble()) as vendor:
        settings = {"account_sid": twilio.ACCOUNT_SID, "from": "+15005550006"}
        await open_account(person, "twilio", settings, twilio.AUTH_TOKEN, vendor)
        await person.get("POST /users/batch", {"users": [user("ada", phone=OPTED_OUT)]})
        wanted = {"optimization": {"channels": ["sms"]}}
        (first,) = await person.campaign(["ada"], **wanted)
        assert await person.ends(first) == "failed"
        assert (await person.attempts(first))[0]["code"] == "rcpt_21610"

        async def is_blocked() -> bool:
            (again,) = await person.campaign(["ada"], **wanted)
            return await person.ends(again) == "blocked"

        await eventually(is_blocked)
        asked = len(vendor.requests)
        (last,) = await person.campaign(["ada"], **wanted)
        assert await person.ends(last) == "blocked"
        assert len(vendor.requests) == asked
