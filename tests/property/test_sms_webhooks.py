"""Whatever a stranger sends to an account's address is refused or told to be wrong, and never an error of ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.providers.plivo import read_plivo
from clarion.adapters.providers.twilio import read_twilio
from clarion.adapters.providers.vonage import read_vonage
from clarion.adapters.providers.vonage.receipts import sign_fields
from clarion.adapters.providers.webhooks import WebhookCall, WebhookRead
from clarion.kernel.errors import Invalid, Refused, Transient
from clarion.tenancy.config import ProviderConfig

NOW_MS = 1_800_000_000_000
SECRET = "a-secret"
ACCOUNT = ProviderConfig(
    "texts", b"t" * 16, "any", "sms", {}, {"auth_token": SECRET, "signature_secret": SECRET}
)
URL = "https://clarion.example/api/v1/receipts/texts?tenant=0198"
READERS: dict[str, Any] = {"twilio": read_twilio, "vonage": read_vonage, "plivo": read_plivo}

signatures = st.one_of(
    st.text(max_size=30), st.binary(max_size=20).map(lambda raw: base64.b64encode(raw).decode())
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "application/x-www-form-urlencoded", "x"]),
        "authorization": signatures.map(lambda text: f"Bearer {text}.{text}.{text}"),
        "x-twilio-signature": signatures,
        "x-plivo-signature-v3": signatures,
        "x-plivo-signature-v3-nonce": st.text(max_size=10),
        "x-plivo-signature-v2": signatures,
        "x-plivo-signature-v2-nonce": st.text(max_size=10),
    },
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
fields = st.dictionaries(
    st.sampled_from(
        [
            "status",
            "message_uuid",
            "messageId",
            "timestamp",
            "err-code",
            "error",
            "usage",
            "price",
            "to",
            "client_ref",
        ]
    ),
    st.one_of(scalars, st.dictionaries(st.sampled_from(["title", "type", "price"]), scalars)),
)
bodies = st.one_of(
    st.binary(max_size=200),
    fields.map(msgspec.json.encode),
    st.just(b'{"a":' * 5000),
    st.sampled_from([b"sig=x&timestamp=1", b"sig=x&timestamp=" + b"9" * 400, b"%FF=%00", b"&&&=", b""]),
)


def read(vendor: str, call: WebhookCall) -> WebhookRead:
    async def fetch(url: str) -> bytes:
        raise AssertionError(url)

    return asyncio.run(READERS[vendor](call, ACCOUNT, fetch))


@pytest.mark.parametrize("vendor", list(READERS))
@given(headers, bodies, st.sampled_from(["POST", "GET"]))
def test_a_stranger_gets_nowhere(vendor: str, given_headers: dict[str, str], body: bytes, method: str):
    with pytest.raises((Refused, Invalid, Transient)):
        read(vendor, WebhookCall(method, URL, given_headers, body, NOW_MS))


@given(fields)
def test_whatever_vonage_signs_is_read(content: dict[str, Any]):
    body = msgspec.json.encode(content)
    claims = {"iat": NOW_MS // 1000, "payload_hash": hashlib.sha256(body).hexdigest()}
    parts = [
        base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=")
        for part in ({"alg": "HS256"}, claims)
    ]
    signed = b".".join(parts)
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).rstrip(b"=")
    token = (signed + b"." + mac).decode()
    call = WebhookCall(
        "POST", URL, {"authorization": f"Bearer {token}", "content-type": "application/json"}, body, NOW_MS
    )
    for one in read("vonage", call).feedback:
        assert one.cost_micros is None or 0 <= one.cost_micros < 10**10


@given(
    st.dictionaries(st.text(max_size=10), scalars, max_size=8), st.sampled_from(["md5hash", "md5", "sha256"])
)
def test_a_signature_of_fields_does_not_depend_on_their_order(content: dict[str, Any], method: str):
    turned = dict(reversed(content.items()))
    assert sign_fields(content, SECRET, method) == sign_fields(turned, SECRET, method)
