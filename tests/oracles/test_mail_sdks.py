"""What vendors of e-mail publish for Python, against ours: their clients speak to our doubles, their validators judge
our requests and signatures, and our readers judge what they sign.

The SDKs bring no types: each is loaded by name, and what is taken from it has its type said here.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.providers.base import Flight
from clarion.adapters.providers.mailgun import read_mailgun
from clarion.adapters.providers.registry import build_provider
from clarion.adapters.providers.sendgrid import read_sendgrid
from clarion.adapters.providers.ses.provider import BULK_PATH, SesProvider
from clarion.adapters.providers.ses.sigv4 import AwsKey, Signer
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Refused
from clarion.testing.outside import outside
from clarion.testing.vendors import SendGridDouble, SesDouble, sendgrid, serve
from tests.integration.providers.mail import config, newsletter
from tests.integration.providers.webhooks import (
    DELIVERY,
    MAILGUN_KEY,
    NOW_S,
    SendGridSigner,
    call,
    mailgun_body,
    sendgrid_headers,
)

# The SDKs use what their own dependencies give up; it says nothing about us.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def load(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


async def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


class Vector(msgspec.Struct, frozen=True):
    """A call of SendGrid's production, with its key; published with its own library."""

    name: str
    key: str
    signature: str
    timestamp: int
    body: str


class Vectors(msgspec.Struct, frozen=True):
    source: str
    vectors: list[Vector]


VECTORS: Final = msgspec.json.decode(
    Path(__file__).with_name("sendgrid_vectors.json").read_bytes(), type=Vectors
).vectors


class TestSendGrid:
    @pytest.mark.parametrize("vector", VECTORS, ids=[vector.name for vector in VECTORS])
    async def test_calls_of_its_production_are_believed(self, vector: Vector):
        account = config("sendgrid", webhook_key=vector.key)
        headers = sendgrid_headers(vector.signature, f"{vector.timestamp}")
        made = call(vector.body.encode(), headers, vector.timestamp)
        read = await read_sendgrid(made, account, no_fetch)
        # They are about other mail than ours: believed, and nothing of it for us.
        assert read.replay_key == vector.signature
        assert not read.feedback
        with pytest.raises(Refused):
            await read_sendgrid(msgspec.structs.replace(made, raw=made.raw.strip()), account, no_fetch)

    def test_its_validator_believes_what_ours_does(self):
        signer = SendGridSigner()
        validator = load("sendgrid.helpers.eventwebhook", "EventWebhook")(signer.public_key)
        made = signer.call({"event": "delivered"})
        signature, at = (
            made.headers[f"x-twilio-email-event-webhook-{name}"] for name in ("signature", "timestamp")
        )
        assert validator.verify_signature(made.raw.decode(), signature, at) is True
        assert validator.verify_signature(made.raw.decode() + " ", signature, at) is False

    async def test_its_client_is_taken_by_our_double(self):
        mail = load("sendgrid.helpers.mail", "Mail")(
            "news@shop.example", "ada@example.org", "Hi", "Hello there"
        )
        mail.add_custom_arg(
            load("sendgrid.helpers.mail", "CustomArg")("clarion_delivery", DELIVERY.hex(), p=0)
        )
        async with serve(SendGridDouble()) as vendor:
            client = load("sendgrid", "SendGridAPIClient")(sendgrid.API_KEY, host=vendor.url)
            answer = await asyncio.to_thread(client.send, mail)
            assert answer.status_code == 202
            assert cast("SendGridDouble", vendor.double).texts() == {DELIVERY: ("Hi", "Hello there", "")}


class TestMailgun:
    def test_its_guard_believes_what_ours_does(self):
        verify = load("mailgun.security", "SecurityGuard").verify_webhook
        signed = msgspec.json.decode(mailgun_body({"event": "opened"}))["signature"]
        token, at, signature = signed["token"], signed["timestamp"], signed["signature"]
        assert verify(MAILGUN_KEY, token, at, signature, max_age_seconds=0) is True
        assert verify(MAILGUN_KEY, token[::-1] + "x", at, signature, max_age_seconds=0) is False

    @pytest.mark.parametrize("key", [MAILGUN_KEY, "another"])
    async def test_both_refuse_the_same_keys(self, key: str):
        verify = load("mailgun.security", "SecurityGuard").verify_webhook
        body = mailgun_body({"event": "opened"})
        signed = msgspec.json.decode(body)["signature"]
        theirs = verify(key, signed["token"], signed["timestamp"], signed["signature"], max_age_seconds=0)
        account = config("mailgun", credentials={"api_key": "x", "webhook_key": key})
        try:
            ours = bool((await read_mailgun(call(body, now_s=NOW_S), account, no_fetch)).feedback)
        except Refused:
            ours = False
        assert ours == theirs


URLS: Final = st.sampled_from(
    [
        "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails",
        "https://email.eu-west-1.amazonaws.com:443/v2/email/outbound-bulk-emails",
        "http://127.0.0.1:18110/v2/email/outbound-emails",
        "http://[::1]:80/a%20b/~c/v2/email/outbound-emails",
    ]
)
KEY: Final = AwsKey("AKIA0123456789ABCDEF", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TIMES_MS: Final = st.integers(1_800_000_000_000, 1_810_000_000_000)
TOKENS: Final = st.sampled_from(["", "IQoJb3JpZ2luX2VjEA=="])


class TestSes:
    @given(URLS, st.binary(max_size=200), TIMES_MS, TOKENS)
    def test_botocore_signs_as_we_do(self, url: str, body: bytes, now_ms: int, token: str):
        key = AwsKey(KEY.access_key_id, KEY.secret_access_key, token)
        ours = Signer(key, "eu-west-1").sign(url, body, now_ms)
        assert ours["authorization"] == _signed_by_botocore(key, url, body, now_ms)

    def test_the_key_of_a_day_is_not_used_the_next(self):
        signer, url = Signer(KEY, "eu-west-1"), "https://email.eu-west-1.amazonaws.com/"
        for now_ms in (1_800_057_599_000, 1_800_057_601_000, 1_800_057_599_000):
            assert signer.sign(url, b"{}", now_ms) == Signer(KEY, "eu-west-1").sign(url, b"{}", now_ms)

    @pytest.mark.parametrize("count", [1, 2, 50])
    def test_botocores_validator_finds_nothing_in_our_requests(self, count: int):
        headers = {"X-Long": "ü" * 100, "Reply-To": "Desk <desk@shop.example>"}
        batch = [newsletter(f"user{place}", headers=headers) for place in range(count)]
        settings = {"configuration_set": "clarion"}
        built = build_provider(config("ses", "", None, **settings), outside(StoreClock()))
        assert isinstance(built, SesProvider)
        calls = built._calls_of([Flight(message) for message in batch])  # noqa: SLF001  what would leave, unsent
        assert calls
        for made in calls:
            name = "SendBulkEmail" if made.request.url.endswith(BULK_PATH) else "SendEmail"
            assert _complaints(name, msgspec.json.decode(made.request.body)) == ""

    def test_botocores_validator_finds_what_is_wrong(self):
        assert "BulkEmailEntries" in _complaints("SendBulkEmail", {"DefaultContent": {}})

    async def test_boto_is_taken_by_our_double(self):
        async with serve(SesDouble()) as vendor:
            client = load("boto3", "client")(
                "sesv2",
                endpoint_url=vendor.url,
                region_name="eu-west-1",
                aws_access_key_id=KEY.access_key_id,
                aws_secret_access_key=KEY.secret_access_key,
            )
            answer = await asyncio.to_thread(
                client.send_email,
                FromEmailAddress="news@shop.example",
                Destination={"ToAddresses": ["ada@example.org"]},
                Content={"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}},
                EmailTags=[{"Name": "clarion_delivery", "Value": DELIVERY.hex()}],
            )
            assert answer["MessageId"] == "m1"
            assert cast("SesDouble", vendor.double).texts() == {DELIVERY: ("Hi", "Hello", "")}


def _signed_by_botocore(key: AwsKey, url: str, body: bytes, now_ms: int) -> str:
    credentials = load("botocore.credentials", "Credentials")(
        key.access_key_id, key.secret_access_key, key.session_token or None
    )
    auth = load("botocore.auth", "SigV4Auth")(credentials, "ses", "eu-west-1")
    request = load("botocore.awsrequest", "AWSRequest")(
        "POST", url, {"Content-Type": "application/json"}, body
    )
    at = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    # `add_auth` in its steps: it would take the time from the machine's clock.
    request.context["timestamp"] = at
    auth._modify_request_before_signing(request)  # noqa: SLF001  see above
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    auth._inject_signature_to_request(request, signature)  # noqa: SLF001  see above
    return cast("str", request.headers["Authorization"])


def _complaints(operation: str, body: dict[str, Any]) -> str:
    model = load("botocore.session", "get_session")().get_service_model("sesv2").operation_model(operation)
    return cast(
        "str",
        load("botocore.validate", "ParamValidator")().validate(body, model.input_shape).generate_report(),
    )
