"""Signatures of text vendors' webhooks, ours judged by the vendors' own code in JavaScript."""

from __future__ import annotations

import base64
import hmac
import json
from urllib.parse import urlencode

import msgspec
import pytest

from clarion.adapters.providers.plivo.receipts import v2_text, v3_text
from clarion.adapters.providers.twilio.receipts import signature
from clarion.adapters.providers.webhooks import WebhookCall
from tests.oracles.npm import require, run_node

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

URL = "https://clarion.example/api/v1/receipts/texts?tenant=0198&token=a-b_c"
SECRET = "a-token-of-the-account-0123456789abcdef"
FORM = {"MessageUUID": "u1", "Status": "delivered", "To": "15551230001", "Note": "ünï & code="}


def judged(script: str, *words: str) -> list[bool]:
    """What a script prints: whether it believes the right signature, and a wrong one."""
    return json.loads(run_node(script, *words))


def mac(text: str) -> str:
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha256")).decode()


def test_twilio_believes_us():
    require("twilio")
    joined = "".join(name + value for name, value in sorted(FORM.items()))
    script = """
        const {validateRequest} = require("twilio")
        const [token, url, form, right] = process.argv.slice(1)
        const believes = (signature) => validateRequest(token, signature, url, JSON.parse(form))
        console.log(JSON.stringify([believes(right), believes("x" + right.slice(1))]))
    """
    assert judged(script, SECRET, URL, json.dumps(FORM), signature(SECRET, URL + joined)) == [True, False]


@pytest.mark.parametrize("url", [URL, URL.partition("?")[0]])
def test_plivo_believes_us(url: str):
    require("plivo")
    call = WebhookCall("POST", url, {}, urlencode(FORM).encode(), 0)
    script = """
        const {validateV3Signature, validateSignature} = require("plivo")
        const [token, url, form, v3, v2] = process.argv.slice(1)
        const fields = JSON.parse(form)
        console.log(JSON.stringify([
            validateV3Signature("POST", url, "n1", token, v3, fields),
            validateV3Signature("POST", url, "n2", token, v3, fields),
            validateSignature(url, "n1", v2, token),
            validateSignature(url, "n2", v2, token),
        ]))
    """
    signed = mac(v3_text(call, "n1")), mac(v2_text(call, "n1"))
    assert judged(script, SECRET, url, json.dumps(FORM), *signed) == [True, False, True, False]


def test_vonage_believes_us():
    require("@vonage/jwt")
    parts = [{"alg": "HS256", "typ": "JWT"}, {"iat": 1_700_000_000, "payload_hash": "0" * 64}]
    text = ".".join(_encoded(msgspec.json.encode(part)) for part in parts)
    token = f"{text}.{_encoded(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"
    script = """
        const {verifySignature} = require("@vonage/jwt")
        const [secret, token] = process.argv.slice(1)
        const believes = (secret) => { try { return Boolean(verifySignature(token, secret)) } catch { return false } }
        console.log(JSON.stringify([believes(secret), believes(secret.toUpperCase())]))
    """
    assert judged(script, SECRET, token) == [True, False]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
