"""The doubles are as strict as the vendors' own descriptions, whoever calls; else they would prove nothing."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from clarion.adapters.providers.http.exchange import HttpRequest
from clarion.adapters.providers.registry import build_provider
from clarion.audience.model import DeviceToken
from clarion.delivery.model import Message
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.vendors import FcmDouble, TwilioDouble
from clarion.testing.vendors.fcm import ACCESS_TOKEN, FOREIGN, PROJECT, UNREGISTERED
from clarion.testing.vendors.process import running_double
from clarion.testing.vendors.twilio import ACCOUNT_SID, AUTH_TOKEN

TEXT = {"To": "+15551234567", "From": "+15005550006", "Body": "Hello"}
BASIC = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
MESSAGES = f"http://x/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
SEND = f"http://x/v1/projects/{PROJECT}/messages:send"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({}, 201, None),
        ({"To": None}, 400, 21604),
        ({"From": None}, 400, 21603),
        ({"Text": "Hello"}, 400, 21604),
        ({"ValidityPeriod": "soon"}, 400, 21604),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "+15005550004"}, 400, 21610),
    ],
    ids=str,
)
def test_twilio_takes_what_its_description_takes(
    change: dict[str, str | None], status: int, code: int | None
):
    form = {name: value for name, value in (TEXT | change).items() if value is not None}
    double = TwilioDouble()
    reply = double.answer(HttpRequest("POST", MESSAGES, {"Authorization": BASIC}, urlencode(form).encode()))
    assert (reply.status, msgspec.json.decode(reply.body).get("code")) == (status, code)
    assert (double.taken, len(double.refusals)) == (int(status == 201), int(status != 201))


@pytest.mark.parametrize(
    ("authorization", "url", "status"),
    [("", MESSAGES, 401), ("Basic eA==", MESSAGES, 401), (BASIC, f"{MESSAGES}/x", 404)],
    ids=str,
)
def test_twilio_takes_nothing_from_others_or_elsewhere(authorization: str, url: str, status: int):
    headers = {"Authorization": authorization}
    assert TwilioDouble().answer(HttpRequest("POST", url, headers, urlencode(TEXT).encode())).status == status


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"data": {"n": "1"}, "android": {"priority": "HIGH", "ttl": "3.5s", "collapseKey": "k"}}, 200),
        ({"apns": {"payload": {"aps": {"badge": 1}}}, "webpush": {"headers": {"TTL": "1"}}}, 200),
        ({"data": {"n": 1}}, 400),
        ({"notificaton": {}}, 400),
        ({"android": {"priority": "URGENT"}}, 400),
        ({"android": {"ttl": "3"}}, 400),
        ({"notification": {"title": "x" * 5000}}, 400),
        ({"token": f"{UNREGISTERED}:1"}, 404),
        ({"token": f"{FOREIGN}:1"}, 403),
    ],
    ids=lambda value: str(value)[:60],
)
def test_fcm_takes_what_its_discovery_document_takes(change: dict[str, Any], status: int):
    body = msgspec.json.encode({"message": {"token": "device", **change}})
    double = FcmDouble()
    reply = double.answer(HttpRequest("POST", SEND, {"authorization": f"Bearer {ACCESS_TOKEN}"}, body))
    assert reply.status == status, reply.body
    assert double.answer(HttpRequest("POST", SEND, {}, body)).status == 401


async def test_a_double_in_a_process_of_its_own_says_what_it_took():
    """As benches run it: Firebase behind a server that is not made of Python."""
    with running_double("fcm") as double:
        account = double.account
        config = ProviderConfig("p", b"t" * 16, "fcm", "push", account["settings"], account["credentials"])
        transport = loopback_transport()
        provider = build_provider(config, outside(StoreClock(), transport=transport))
        ids = make_ids(30, 1_800_000_000_000)
        device = DeviceToken("android", "device")
        batch = [
            Message(
                ids[16 * n : 16 * n + 16], b"t" * 16, "push", 1, devices=[device], title="Hello", body="you"
            )
            for n in range(30)
        ]
        assert {outcome.kind for outcome in await provider.send(batch)} == {"sent"}
        await provider.close()
        await transport.close()
    took = double.took
    assert (took["taken"], took["statuses"], took["connections"]) == (30, {"200": 30}, 1)
