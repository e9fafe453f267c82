"""The vendors' own SDKs against ours: their clients speak to our doubles, their validators judge our signatures, and
our readers judge theirs.

The SDKs bring no types: each is loaded by name, and what is taken from it has its type said here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, parse_qsl, urlencode

import msgspec
import pytest

from clarion.adapters.providers.plivo.receipts import read_plivo, v2_text, v3_text
from clarion.adapters.providers.registry import build_provider
from clarion.adapters.providers.twilio.receipts import read_twilio, signature
from clarion.adapters.providers.vonage.receipts import read_vonage, sign_fields
from clarion.adapters.providers.webhooks import WebhookCall, WebhookRead
from clarion.delivery.model import Message
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Refused
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.vendors import PlivoDouble, TwilioDouble, plivo, serve, twilio

# The SDKs use what their own dependencies give up; it says nothing about us.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TENANT = b"t" * 16
NOW_S = 1_800_000_000
PAST_S = 1_700_000_000
"""Vonage's SDK takes no token of the future, and goes by the machine's clock."""

URL = "https://clarion.example/api/v1/receipts/texts?tenant=0198&delivery=" + "ab" * 16
TOKEN = "a-token-of-the-account-0123456789abcdef"
FORM = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+15551230001", "Note": "ünï & code="}


def load(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def account(kind: str, credentials: dict[str, str], **settings: Any) -> ProviderConfig:
    return ProviderConfig("texts", TENANT, kind, "sms", settings, credentials)


def form_call(fields: dict[str, str], headers: dict[str, str], url: str = URL) -> WebhookCall:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return WebhookCall("POST", url, kind | headers, urlencode(fields).encode(), NOW_S * 1000)


async def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


class TestTwilio:
    async def test_its_signature_is_ours(self):
        validator = load("twilio.request_validator", "RequestValidator")(TOKEN)
        signed = cast("str", validator.compute_signature(URL, FORM))
        read = await self._read(form_call(FORM, {"x-twilio-signature": signed}))
        assert [one.kind for one in read.feedback] == ["delivered"]
        assert read.feedback[0].delivery_id == bytes.fromhex("ab" * 16)

    async def test_its_signature_of_another_body_is_refused(self):
        validator = load("twilio.request_validator", "RequestValidator")(TOKEN)
        signed = cast("str", validator.compute_signature(URL, FORM))
        with pytest.raises(Refused):
            await self._read(form_call(FORM | {"MessageStatus": "failed"}, {"x-twilio-signature": signed}))

    async def test_its_sha256_signature_is_ours(self):
        validator = load("twilio.request_validator", "RequestValidator")("shared")
        signed = cast("str", validator.compute_signature(URL, FORM, "HMAC_SHA256"))
        headers = {
            "x-twilio-signature": signed,
            "x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
        }
        assert (await self._read(form_call(FORM, headers))).feedback

    @pytest.mark.parametrize("url", [URL, URL.replace(".example/", ".example:8443/")])
    def test_ours_is_its(self, url: str):
        validator = load("twilio.request_validator", "RequestValidator")(TOKEN)
        joined = "".join(name + value for name, value in sorted(FORM.items()))
        assert validator.validate(url, FORM, signature(TOKEN, url + joined))
        assert not validator.validate(url, FORM, signature("another", url + joined))

    async def test_its_json_callback_is_read(self):
        body = msgspec.json.encode({"MessageSid": "SM1", "MessageStatus": "read"}).decode()
        validator = load("twilio.request_validator", "RequestValidator")(TOKEN)
        url = f"{URL}&bodySHA256={validator.compute_hash(body)}"
        signed = cast("str", validator.compute_signature(url, {}))
        headers = {"x-twilio-signature": signed, "content-type": "application/json"}
        assert validator.validate(url, body, signed)
        read = await self._read(WebhookCall("POST", url, headers, body.encode(), NOW_S * 1000))
        assert [one.kind for one in read.feedback] == ["opened"]
        with pytest.raises(Refused, match="not the one that was signed"):
            await self._read(WebhookCall("POST", url, headers, body.encode() + b" ", NOW_S * 1000))

    @staticmethod
    async def _read(call: WebhookCall) -> WebhookRead:
        credentials = {"auth_token": TOKEN, "webhook_secret": "shared"}
        return await read_twilio(call, account("twilio", credentials), no_fetch)

    async def test_its_client_and_our_adapter_send_the_same(self):
        async with serve(TwilioDouble()) as vendor:
            speaker = load("twilio.http.http_client", "TwilioHttpClient")()
            speaker.session.mount("https://", redirected("https://api.twilio.com", vendor.url))
            client = load("twilio.rest", "Client")(twilio.ACCOUNT_SID, twilio.AUTH_TOKEN, http_client=speaker)
            message = text()
            callback = f"{URL.partition('&')[0]}&delivery={message.delivery_id.hex()}"
            sent = await asyncio.to_thread(
                client.messages.create,
                to=message.to,
                from_="+15005550006",
                body=message.body,
                status_callback=callback,
            )
            settings = {"account_sid": twilio.ACCOUNT_SID, "from": "+15005550006"}
            config = account(
                "twilio",
                {"auth_token": twilio.AUTH_TOKEN},
                **settings,
                base_url=vendor.url,
                receipts_url=URL.partition("&")[0],
            )
            await send(config, message)
            theirs, ours = vendor.requests
            assert sent.status == "queued"
            assert parse_qs(theirs.body.decode()) == parse_qs(ours.body.decode())
            assert theirs.url == ours.url


class TestVonage:
    @pytest.mark.parametrize("method", ["md5", "sha1", "sha256", "sha512"])
    async def test_its_sig_is_ours_and_ours_is_its(self, method: str):
        fields: dict[str, Any] = {
            "messageId": "0A1",
            "status": "delivered",
            "err-code": "0",
            "msisdn": "15551230001",
            "note": "a&b=c",
            "timestamp": str(NOW_S),
            "nonce": "n1",
        }
        auth = load("vonage_http_client", "Auth")("abcd1234", signature_secret=TOKEN, signature_method=method)
        theirs = cast("str", auth.sign_params(dict(fields)))
        assert theirs == sign_fields(fields, TOKEN, method)
        assert auth.check_signature({**fields, "sig": sign_fields(fields, TOKEN, method)})
        config = account("vonage", {"signature_secret": TOKEN}, signature_method=method)
        read = await read_vonage(form_call({**fields, "sig": theirs}, {}), config, no_fetch)
        assert [one.kind for one in read.feedback] == ["delivered"]
        assert read.replay_key == "n1"
        with pytest.raises(Refused):
            await read_vonage(form_call({**fields, "status": "failed", "sig": theirs}, {}), config, no_fetch)

    def test_our_token_is_its(self):
        verify = cast("Callable[[str, str], bool]", load("vonage_jwt", "verify_signature"))
        token = vonage_token(b"{}", TOKEN)
        assert verify(token, TOKEN)
        assert not verify(token, TOKEN[::-1])

    async def test_its_token_is_ours(self):
        encode = cast("Callable[..., str]", load("jwt", "encode"))
        body = msgspec.json.encode({"message_uuid": "u1", "status": "delivered", "client_ref": "ab" * 16})
        claims = {"iat": NOW_S, "jti": "j1", "payload_hash": hashlib.sha256(body).hexdigest()}
        token = encode(claims, TOKEN, algorithm="HS256")
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        call = WebhookCall("POST", URL, headers, body, NOW_S * 1000)
        config = account("vonage", {"signature_secret": TOKEN})
        read = await read_vonage(call, config, no_fetch)
        assert [one.kind for one in read.feedback] == ["delivered"]
        assert read.replay_key == "j1"


class TestPlivo:
    FORM: ClassVar = {"MessageUUID": "u1", "Status": "delivered", "To": "15551230001", "Units": "1"}

    @pytest.mark.parametrize("url", [URL, URL.partition("?")[0]])
    async def test_v3_is_the_same_in_both_directions(self, url: str):
        validate = cast("Callable[..., bool]", load("plivo.utils", "validate_v3_signature"))
        call = form_call(self.FORM, {}, url)
        ours = mac(TOKEN, v3_text(call, "n1"))
        fields = dict(parse_qsl(call.raw.decode()))
        assert validate("POST", url, "n1", TOKEN, ours, fields)
        assert not validate("POST", url, "n2", TOKEN, ours, fields)
        # What its SDK would sign, by its own functions.
        make_url = load("plivo.utils.signature_v3", "construct_post_url")
        make = load("plivo.utils.signature_v3", "get_signature_v3")
        theirs = cast("bytes", make(TOKEN.encode(), make_url(url, fields).decode(), b"n1")).decode()
        headers = {"x-plivo-signature-v3": f"other,{theirs}", "x-plivo-signature-v3-nonce": "n1"}
        read = await self._read(form_call(self.FORM, headers, url))
        assert [one.provider_message_id for one in read.feedback] == ["u1"]
        assert read.replay_key == "n1"
        with pytest.raises(Refused):
            await self._read(form_call({**self.FORM, "Status": "failed"}, headers, url))

    async def test_v2_is_the_same_in_both_directions(self):
        validate = cast("Callable[..., bool]", load("plivo.utils", "validate_signature"))
        ours = mac(TOKEN, v2_text(form_call(self.FORM, {}), "n1"))
        assert validate(URL, "n1", ours, TOKEN)
        headers = {"x-plivo-signature-v2": ours, "x-plivo-signature-v2-nonce": "n1"}
        assert (await self._read(form_call(self.FORM, headers))).feedback
        with pytest.raises(Refused):
            await self._read(form_call(self.FORM, headers | {"x-plivo-signature-v2-nonce": "n2"}))

    @staticmethod
    async def _read(call: WebhookCall) -> WebhookRead:
        return await read_plivo(call, account("plivo", {"auth_token": TOKEN}), no_fetch)

    async def test_its_client_and_our_adapter_send_the_same(self):
        async with serve(PlivoDouble()) as vendor:
            client = load("plivo", "RestClient")(plivo.AUTH_ID, plivo.AUTH_TOKEN)
            client.session.mount("https://", redirected("https://api.plivo.com", vendor.url))
            messages = [text(), text("+15551230002")]
            there = URL.partition("&")[0]
            sent = await asyncio.to_thread(
                client.messages.create,
                src="+15005550006",
                dst="<".join(message.to for message in messages),
                text=messages[0].body,
                url=there,
            )
            settings = {"auth_id": plivo.AUTH_ID, "from": "+15005550006", "receipts_url": there}
            config = account("plivo", {"auth_token": plivo.AUTH_TOKEN}, **settings, base_url=vendor.url)
            await send(config, *messages)
            theirs, ours = (msgspec.json.decode(request.body) for request in vendor.requests)
            assert len(sent.message_uuid) == len(messages)
            # What the SDK adds says what is so anyway.
            assert theirs == ours | {"log": "true", "trackable": False}


def text(to: str = "+15551230001") -> Message:
    return Message(make_ids(1, NOW_S * 1000), TENANT, "sms", 1, to=to, body="Grüße & = 🎉")


def redirected(origin: str, url: str) -> Any:
    """What an SDK's session reaches `url` with in place of `origin`."""
    adapter = load("requests.adapters", "HTTPAdapter")()
    usual = adapter.send

    def reach(request: Any, **more: Any) -> Any:
        request.url = request.url.replace(origin, url)
        return usual(request, **more)

    adapter.send = reach
    return adapter


async def send(config: ProviderConfig, *messages: Message) -> None:
    transport = loopback_transport()
    provider = build_provider(config, outside(StoreClock(), transport=transport))
    outcomes = await provider.send(messages)
    await provider.close()
    await transport.close()
    assert {outcome.kind for outcome in outcomes} == {"sent"}


def mac(token: str, signed: str) -> str:
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha256")).decode()


def vonage_token(body: bytes, secret: str) -> str:
    claims = {"iat": PAST_S, "payload_hash": hashlib.sha256(body).hexdigest()}
    parts = [
        base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=")
        for part in ({"alg": "HS256"}, claims)
    ]
    signed = b".".join(parts)
    sign = base64.urlsafe_b64encode(hmac.digest(secret.encode(), signed, "sha256")).rstrip(b"=")
    return (signed + b"." + sign).decode()
