"""Which kinds of provider call us, and what proves the calls of those whose secret we choose."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from clarion.adapters.providers.proof import TOLERANCE_MS
from clarion.adapters.providers.registry import find_reader
from clarion.adapters.providers.standard_webhooks import PREFIX, check_standard, sign
from clarion.adapters.providers.webhooks import WebhookCall
from clarion.kernel.errors import Refused

SECRET = b"0123456789abcdef"
NOW_MS = 1_800_000_000_000
BODY = b'{"receipts": []}'


@pytest.mark.parametrize(
    "kind", ["sendgrid", "ses", "mailgun", "smtp", "twilio", "vonage", "plivo", "sandbox", "webpush"]
)
def test_kinds_that_call_have_a_reader(kind: str):
    assert find_reader(kind) is not None


@pytest.mark.parametrize("kind", ["fcm", "apns", "pigeon"])
def test_kinds_that_tell_all_in_their_answers_have_none(kind: str):
    assert find_reader(kind) is None


def signed(*, at_ms: int = NOW_MS, body: bytes = BODY) -> WebhookCall:
    """A call with our signature over BODY."""
    at_s = at_ms // 1000
    text = PREFIX + base64.b64encode(SECRET).decode()
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1a,xyz {sign(text, 'm', at_s, BODY)}",
    }
    return WebhookCall("POST", "https://clarion.example/", headers, body, NOW_MS, SECRET)


def test_our_signature_is_taken_within_five_minutes_and_told_by_itself():
    assert check_standard(signed(at_ms=NOW_MS - TOLERANCE_MS)).startswith("v1,")
    assert check_standard(signed()) == check_standard(signed())


@pytest.mark.parametrize(
    "call",
    [
        signed(at_ms=NOW_MS - TOLERANCE_MS - 1000),
        signed(at_ms=NOW_MS + TOLERANCE_MS + 1000),
        signed(body=BODY + b" "),
        replace(signed(), secret=b"another"),
        replace(signed(), headers={}),
        replace(signed(), headers=dict(signed().headers) | {"webhook-timestamp": "now"}),
        replace(signed(), headers=dict(signed().headers) | {"webhook-timestamp": "9" * 4000}),
        replace(signed(), headers=dict(signed().headers) | {"webhook-id": "other"}),
        replace(signed(), headers=dict(signed().headers) | {"webhook-signature": "v1,"}),
        replace(signed(), headers=dict(signed().headers) | {"webhook-signature": "v1,ä"}),
    ],
    ids=["old", "early", "altered", "secret", "bare", "time", "long", "id", "empty", "latin"],
)
def test_what_is_not_quite_signed_is_refused(call: WebhookCall):
    with pytest.raises(Refused):
        check_standard(call)
