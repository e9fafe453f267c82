"""What the vendors of text messages report, in our words; and what is not believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from clarion.adapters.providers.plivo import read_plivo
from clarion.adapters.providers.plivo.receipts import v3_text
from clarion.adapters.providers.twilio import read_twilio
from clarion.adapters.providers.twilio.receipts import signature
from clarion.adapters.providers.vonage import read_vonage
from clarion.adapters.providers.vonage.receipts import sign_fields
from clarion.adapters.providers.webhooks import Feedback, WebhookCall, WebhookRead
from clarion.kernel.errors import Invalid, Refused, Transient
from clarion.tenancy.config import ProviderConfig

NOW_MS = 1_800_000_000_000
DELIVERY = bytes.fromhex("0198" * 8)
URL = "https://clarion.example/api/v1/receipts/texts?tenant=0198"
SECRET = "a-secret"


async def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


def account(kind: str, **settings: Any) -> ProviderConfig:
    credentials = {"auth_token": SECRET, "signature_secret": SECRET}
    return ProviderConfig("texts", b"t" * 16, kind, "sms", settings, credentials)


def form_call(fields: dict[str, str], url: str = URL, **headers: str) -> WebhookCall:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WebhookCall("POST", url, kind | named, urlencode(fields).encode(), NOW_MS)


async def from_twilio(**fields: str) -> list[Feedback]:
    url = f"{URL}&delivery={DELIVERY.hex()}"
    fields = {"MessageSid": "SM1", "To": "+15551230001"} | fields
    joined = "".join(name + value for name, value in sorted(fields.items()))
    call = form_call(fields, url, x_twilio_signature=signature(SECRET, url + joined))
    return list((await read_twilio(call, account("twilio"), no_fetch)).feedback)


def vonage_call(body: bytes, **claims: Any) -> WebhookCall:
    claims = {"iat": NOW_MS // 1000, "jti": "j1", "payload_hash": hashlib.sha256(body).hexdigest()} | claims
    parts = [{"alg": claims.pop("alg", "HS256"), "typ": "JWT"}, claims]
    text = ".".join(_encoded(msgspec.json.encode(part)) for part in parts)
    token = f"{text}.{_encoded(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return WebhookCall("POST", URL, headers, body, NOW_MS)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def from_vonage(call: WebhookCall, **settings: Any) -> WebhookRead:
    return await read_vonage(call, account("vonage", **settings), no_fetch)


async def from_vonage_messages(**fields: Any) -> list[Feedback]:
    status = {"message_uuid": "u1", "to": "15551230001", "client_ref": DELIVERY.hex()}
    return list((await from_vonage(vonage_call(msgspec.json.encode(status | fields)))).feedback)


async def from_vonage_sms(**fields: str) -> list[Feedback]:
    receipt = {"messageId": "0A1", "msisdn": "15551230001", "to": "Shop", "client-ref": DELIVERY.hex()}
    receipt |= {"timestamp": str(NOW_MS // 1000), "nonce": "n1"}
    receipt |= {name.replace("_", "-"): value for name, value in fields.items()}
    call = form_call(receipt | {"sig": sign_fields(receipt, SECRET, "sha256")})
    return list((await from_vonage(call, signature_method="sha256")).feedback)


async def from_plivo(**fields: str) -> list[Feedback]:
    fields = {"MessageUUID": "p1", "ParentMessageUUID": "p0", "To": "15551230001"} | fields
    call = form_call(fields, x_plivo_signature_v3_nonce="n1")
    mac = base64.b64encode(hmac.digest(SECRET.encode(), v3_text(call, "n1").encode(), "sha256")).decode()
    signed = msgspec.structs.replace(call, headers={**call.headers, "x-plivo-signature-v3": mac})
    return list((await read_plivo(signed, account("plivo"), no_fetch)).feedback)


def kinds(feedback: list[Feedback]) -> list[str]:
    return [one.kind for one in feedback]


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        ("queued", "", []),
        ("sending", "", []),
        ("accepted", "", []),
        ("scheduled", "", []),
        ("sent", "", ["sent"]),
        ("partially_delivered", "", ["sent"]),
        ("delivered", "", ["delivered"]),
        ("read", "", ["opened"]),
        ("canceled", "", ["failed"]),
        ("undelivered", "30003", ["failed"]),
        ("undelivered", "30005", ["bounced"]),
        ("failed", "30006", ["bounced"]),
        ("failed", "21610", ["failed", "unsubscribed"]),
        ("something new", "", []),
    ],
)
async def test_twilios_statuses(status: str, error: str, expected: list[str]):
    feedback = await from_twilio(MessageStatus=status, ErrorCode=error)
    assert kinds(feedback) == expected
    assert all(one.delivery_id == DELIVERY and one.provider_message_id == "SM1" for one in feedback)
    assert len({one.event_id for one in feedback}) == len(expected)


async def test_a_callback_of_twilio_says_who_and_what_it_cost():
    (one,) = await from_twilio(MessageStatus="delivered", Price="-0.00790")
    assert (one.address, one.cost_micros) == ("+15551230001", 7900)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        ("submitted", "", ["sent"]),
        ("delivered", "", ["delivered"]),
        ("read", "", ["opened"]),
        ("rejected", "1260", ["failed"]),
        ("undeliverable", "1190", ["bounced"]),
        ("rejected", "1240", ["failed", "unsubscribed"]),
        ("thinking", "", []),
    ],
)
async def test_the_messages_apis_statuses(status: str, error: str, expected: list[str]):
    problem = {"type": f"https://developer.vonage.com/api-errors/messages#{error}", "title": error}
    more = {"error": problem} if error else {}
    feedback = await from_vonage_messages(status=status, timestamp="2027-01-15T07:59:00Z", **more)
    assert kinds(feedback) == expected
    assert all(one.at_ms == NOW_MS - 60_000 and one.delivery_id == DELIVERY for one in feedback)


async def test_the_messages_api_says_what_a_text_cost():
    (one,) = await from_vonage_messages(status="submitted", usage={"currency": "EUR", "price": "0.0333"})
    assert (one.cost_micros, one.address) == (33_300, "+15551230001")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        ("accepted", "0", ["sent"]),
        ("buffered", "0", ["sent"]),
        ("delivered", "0", ["delivered"]),
        ("expired", "2", ["failed"]),
        ("failed", "3", ["bounced"]),
        ("rejected", "4", ["failed", "unsubscribed"]),
        ("unknown", "1", []),
    ],
)
async def test_the_sms_apis_statuses(status: str, error: str, expected: list[str]):
    feedback = await from_vonage_sms(
        status=status, err_code=error, message_timestamp="2027-01-15 07:59:00 +0000"
    )
    assert kinds(feedback) == expected
    assert all(one.at_ms == NOW_MS - 60_000 and one.address == "+15551230001" for one in feedback)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        ("queued", "", []),
        ("sent", "", ["sent"]),
        ("delivered", "", ["delivered"]),
        ("read", "", ["opened"]),
        ("undelivered", "80", ["failed"]),
        ("undelivered", "70", ["bounced"]),
        ("failed", "200", ["failed", "unsubscribed"]),
        ("rejected", "40", ["failed"]),
    ],
)
async def test_plivos_statuses(status: str, error: str, expected: list[str]):
    feedback = await from_plivo(Status=status, ErrorCode=error, TotalAmount="0.00550")
    assert kinds(feedback) == expected
    assert all(one.provider_message_id == "p0" and one.cost_micros == 5500 for one in feedback)


class TestVonagesTokens:
    """Beside the signature: whose account, when, and over which body."""

    BODY = msgspec.json.encode({"message_uuid": "u1", "status": "delivered"})

    async def test_a_token_is_used_up_by_its_id(self):
        assert (await from_vonage(vonage_call(self.BODY))).replay_key == "j1"

    async def test_a_token_for_another_body_is_refused(self):
        call = msgspec.structs.replace(vonage_call(self.BODY), raw=self.BODY + b" ")
        with pytest.raises(Refused, match="not the one that was signed"):
            await from_vonage(call)

    @pytest.mark.parametrize("offset_s", [-301, 301])
    async def test_a_token_of_another_time_is_refused(self, offset_s: int):
        with pytest.raises(Refused, match="five minutes"):
            await from_vonage(vonage_call(self.BODY, iat=NOW_MS // 1000 + offset_s))

    async def test_a_token_of_another_account_is_refused(self):
        call = vonage_call(self.BODY, application_id="theirs")
        with pytest.raises(Refused, match="another account"):
            await from_vonage(call, application_id="ours")

    @pytest.mark.parametrize("algorithm", ["none", "RS256"])
    async def test_another_algorithm_is_refused(self, algorithm: str):
        with pytest.raises(Refused, match="HS256"):
            await from_vonage(vonage_call(self.BODY, alg=algorithm))

    @pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "e30.e30.", "é.e30.x"])
    async def test_what_is_no_token_is_refused(self, token: str):
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        with pytest.raises(Refused):
            await from_vonage(WebhookCall("POST", URL, headers, self.BODY, NOW_MS))

    async def test_a_token_vouches_for_no_query(self):
        call = vonage_call(b"")
        asked = msgspec.structs.replace(call, method="GET", url=f"{URL}&messageId=0A1&status=delivered")
        with pytest.raises(Refused, match="by POST"):
            await from_vonage(asked)

    async def test_fields_that_are_signed_may_come_as_a_query(self):
        fields = {"messageId": "0A1", "status": "delivered", "timestamp": str(NOW_MS // 1000)}
        query = urlencode(fields | {"sig": sign_fields(fields, SECRET, "sha256")})
        call = WebhookCall("GET", f"{URL}&{query}", {}, b"", NOW_MS)
        read = await from_vonage(call, signature_method="sha256")
        assert kinds(list(read.feedback)) == ["delivered"]

    async def test_an_unsigned_call_is_to_be_made_again(self):
        call = WebhookCall("POST", URL, {"content-type": "application/json"}, self.BODY, NOW_MS)
        with pytest.raises(Transient):
            await from_vonage(call)

    async def test_an_old_sig_is_refused(self):
        fields = {"messageId": "0A1", "status": "delivered", "timestamp": str(NOW_MS // 1000 - 86_400)}
        call = form_call(fields | {"sig": sign_fields(fields, SECRET, "sha256")})
        with pytest.raises(Refused, match="five minutes"):
            await from_vonage(call)

    async def test_a_plain_digest_is_understood(self):
        fields = {"messageId": "0A1", "status": "delivered", "timestamp": str(NOW_MS // 1000), "nonce": "n"}
        text = f"&messageId=0A1&nonce=n&status=delivered&timestamp={NOW_MS // 1000}{SECRET}"
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()
        read = await from_vonage(form_call(fields | {"sig": digest}), signature_method="md5hash")
        assert kinds(list(read.feedback)) == ["delivered"]


@pytest.mark.parametrize("reader", [read_twilio, read_plivo])
async def test_an_unsigned_call_is_refused(reader: Any):
    with pytest.raises(Refused):
        await reader(form_call({"MessageSid": "SM1", "MessageUUID": "p1"}), account("any"), no_fetch)


@pytest.mark.parametrize("reader", [read_twilio, read_plivo, read_vonage])
async def test_an_account_without_a_secret_says_which_to_set(reader: Any):
    bare = ProviderConfig("texts", b"t" * 16, "any", "sms", {}, {})
    headers = {"x_twilio_signature": "x", "x_plivo_signature_v2": "x", "x_plivo_signature_v2_nonce": "n"}
    call = form_call({"sig": "x"}, **headers)
    with pytest.raises(Refused, match=r"credentials\.\w+"):
        await reader(call, bare, no_fetch)


async def test_a_signed_body_that_is_no_form_is_invalid():
    body = b"\xff\xfe"
    call = WebhookCall("POST", URL, {"x-twilio-signature": "x"}, body, NOW_MS)
    with pytest.raises(Invalid):
        await read_twilio(call, account("twilio"), no_fetch)


@pytest.mark.parametrize("vendor", ["twilio", "vonage", "vonage-sms", "plivo"])
async def test_the_previous_secret_proves_webhooks_while_it_is_being_replaced(vendor: str):
    reader, call = _signed_call(vendor)
    changing = {"previous_auth_token": SECRET, "previous_signature_secret": SECRET}
    new = {"auth_token": "the-new-one", "signature_secret": "the-new-one"}
    settings = {"signature_method": "sha256"}
    config = ProviderConfig("texts", b"t" * 16, vendor, "sms", settings, new | changing)
    assert (await reader(call, config, no_fetch)).feedback
    with pytest.raises(Refused):
        await reader(call, ProviderConfig("texts", b"t" * 16, vendor, "sms", settings, new), no_fetch)


def _signed_call(vendor: str) -> tuple[Any, WebhookCall]:
    """A call that SECRET has signed, and who reads it."""
    if vendor == "twilio":
        fields = {"MessageSid": "SM1", "MessageStatus": "sent"}
        signed = signature(SECRET, URL + "".join(name + value for name, value in sorted(fields.items())))
        return read_twilio, form_call(fields, x_twilio_signature=signed)
    if vendor == "vonage":
        return read_vonage, vonage_call(msgspec.json.encode({"message_uuid": "u1", "status": "submitted"}))
    if vendor == "vonage-sms":
        fields = {"messageId": "0A1", "status": "accepted", "timestamp": str(NOW_MS // 1000)}
        return read_vonage, form_call(fields | {"sig": sign_fields(fields, SECRET, "sha256")})
    fields = {"MessageUUID": "p1", "Status": "sent"}
    call = form_call(fields, x_plivo_signature_v3_nonce="n1")
    mac = base64.b64encode(hmac.digest(SECRET.encode(), v3_text(call, "n1").encode(), "sha256")).decode()
    return read_plivo, form_call(fields, x_plivo_signature_v3_nonce="n1", x_plivo_signature_v3=mac)
