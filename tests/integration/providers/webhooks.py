"""Webhooks of vendors of e-mail, signed as the vendors sign them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from clarion.adapters.providers.webhooks import WebhookCall
from clarion.tenancy.config import ProviderConfig
from tests.integration.providers.mail import config

DELIVERY: Final = bytes(range(16))
NOW_S: Final = 1_800_000_000
URL: Final = "https://clarion.example/api/v1/receipts/mail?tenant=0198"
TOPIC: Final = "arn:aws:sns:eu-west-1:123456789012:clarion"
CERTIFICATE_URL: Final = (
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123.pem"
)
CONFIRM_URL: Final = (
    f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336"
)
MAILGUN_KEY: Final = "key-0123456789"


def call(raw: bytes, headers: Mapping[str, str] | None = None, now_s: float = NOW_S) -> WebhookCall:
    """A call as the endpoint hands it on."""
    return WebhookCall("POST", URL, headers or {}, raw, int(now_s * 1000))


class SendGridSigner:
    """Signs events as SendGrid does."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public_key = base64.b64encode(der).decode()

    def account(self) -> ProviderConfig:
        """An account that believes this key."""
        return config("sendgrid", webhook_key=self.public_key)

    def sign(self, body: bytes, at_s: int = NOW_S) -> dict[str, str]:
        """The headers of a body."""
        signature = self._key.sign(f"{at_s}".encode() + body, ec.ECDSA(SHA256()))
        return sendgrid_headers(base64.b64encode(signature).decode(), f"{at_s}")

    def call(self, *events: Mapping[str, Any], at_s: int = NOW_S, now_s: float = NOW_S) -> WebhookCall:
        """A signed call with these events, each about DELIVERY unless it says otherwise."""
        usual = {"email": "ada@example.org", "timestamp": NOW_S, "clarion_delivery": DELIVERY.hex()}
        body = msgspec.json.encode(
            [usual | {"sg_event_id": f"event{place}"} | dict(event) for place, event in enumerate(events)]
        )
        return call(body + b"\r\n", self.sign(body + b"\r\n", at_s), now_s)


def sendgrid_headers(signature: str, at_s: str) -> dict[str, str]:
    """The headers that carry SendGrid's signature."""
    name = "x-twilio-email-event-webhook"
    return {f"{name}-signature": signature, f"{name}-timestamp": at_s}


class SnsSigner:
    """Signs messages as SNS does, with a certificate of its own."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        at = datetime.fromtimestamp(NOW_S, UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(at - timedelta(days=1))
            .not_valid_after(at + timedelta(days=1))
            .sign(self._key, SHA256())
        )
        self.pem = certificate.public_bytes(Encoding.PEM)
        self.fetched: list[str] = []

    async def fetch(self, url: str) -> bytes:
        """What is at a url."""
        self.fetched.append(url)
        return self.pem if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"

    def sign(self, message: Mapping[str, str]) -> dict[str, str]:
        """The message with its signature, by the version that it names."""
        names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        hashed = SHA256() if message["SignatureVersion"] == "2" else SHA1()  # noqa: S303  as SNS still does
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashed)
        return dict(message) | {"Signature": base64.b64encode(signature).decode()}

    def notification(self, event: Mapping[str, Any] | str, **changes: str) -> dict[str, str]:
        """A signed notification of an event of SES."""
        text = event if isinstance(event, str) else msgspec.json.encode(event).decode()
        return self.sign(
            {
                "Type": "Notification",
                "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
                "TopicArn": TOPIC,
                "Message": text,
                "Timestamp": "2027-01-15T08:00:00.000Z",
                "SignatureVersion": "2",
                "SigningCertURL": CERTIFICATE_URL,
            }
            | changes
        )

    def confirmation(self, **changes: str) -> dict[str, str]:
        """A signed request to confirm a subscription."""
        control = {"Type": "SubscriptionConfirmation", "Token": "2336", "SubscribeURL": CONFIRM_URL}
        return self.notification("You have chosen to subscribe to the topic.", **(control | changes))


def ses_event(kind: str, **details: Any) -> dict[str, Any]:
    """An event as a configuration set publishes it."""
    mail = {
        "messageId": "0102-m1",
        "timestamp": "2027-01-15T07:59:58.000Z",
        "destination": ["ada@example.org"],
        "tags": {"clarion_delivery": [DELIVERY.hex()], "ses:operation": ["SendBulkEmail"]},
    }
    return {"eventType": kind, "mail": mail, **details}


def mailgun_body(
    event: Mapping[str, Any], at_s: int = NOW_S, token: str = "t" * 50, key: str = MAILGUN_KEY
) -> bytes:
    """A signed webhook of Mailgun."""
    signature = hmac.digest(key.encode(), f"{at_s}{token}".encode(), "sha256").hex()
    usual = {
        "id": "CPgfbmQMTCKtHW6uIWtuVe",
        "timestamp": NOW_S + 0.25,
        "recipient": "ada@example.org",
        "user-variables": {"clarion_delivery": DELIVERY.hex()},
        "flags": {"is-test-mode": False},
    }
    signed = {"timestamp": f"{at_s}", "token": token, "signature": signature}
    return msgspec.json.encode({"signature": signed, "event-data": usual | dict(event)})
