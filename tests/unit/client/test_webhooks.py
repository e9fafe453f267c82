from __future__ import annotations

import base64

import pytest

from clarion.adapters.providers.standard_webhooks import sign
from clarion.client import WebhookRejected, sign_webhook, verify_webhook

# The example that Standard Webhooks' libraries are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT_S = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"Webhook-Id": ID, "Webhook-Timestamp": str(AT_S), "Webhook-Signature": SIGNATURE}


def test_the_standards_own_example_is_signed_alike():
    assert sign_webhook(SECRET, ID, AT_S, BODY) == SIGNATURE


def test_it_signs_as_the_api_checks():
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    assert sign_webhook(secret, "m-1", AT_S, BODY) == sign(secret, "m-1", AT_S, BODY)


@pytest.mark.parametrize("offset_s", [-300, 0, 300])
def test_a_signed_message_of_these_minutes_is_taken(offset_s: int):
    assert verify_webhook(SECRET, HEADERS, BODY, AT_S + offset_s) == ID


def test_one_of_several_signatures_is_enough():
    headers = HEADERS | {"Webhook-Signature": f"v1,bm90IGl0 v1a,other {SIGNATURE}"}
    assert verify_webhook(SECRET, headers, BODY, AT_S) == ID


@pytest.mark.parametrize(
    ("headers", "body", "now_s"),
    [
        (HEADERS, BODY + b" ", AT_S),
        (HEADERS, BODY, AT_S + 301),
        (HEADERS, BODY, AT_S - 301),
        (HEADERS | {"Webhook-Id": "another"}, BODY, AT_S),
        (HEADERS | {"Webhook-Id": ""}, BODY, AT_S),
        (HEADERS | {"Webhook-Timestamp": str(AT_S + 1)}, BODY, AT_S),
        (HEADERS | {"Webhook-Timestamp": "soon"}, BODY, AT_S),
        (HEADERS | {"Webhook-Timestamp": "9" * 400}, BODY, AT_S),
        (HEADERS | {"Webhook-Signature": "v1,ä"}, BODY, AT_S),
        ({}, BODY, AT_S),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], body: bytes, now_s: int):
    with pytest.raises(WebhookRejected):
        verify_webhook(SECRET, headers, body, now_s)


def test_a_secret_that_is_none_is_told():
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook("whsec_%%%", HEADERS, BODY, AT_S)
