"""Messages of Amazon SNS over HTTP: proven by a certificate that only Amazon's host can show.

Anybody can make a topic, and Amazon signs for it; so the topic must be the account's own. The certificate is fetched
from the host of the topic's region, and from nowhere else, whatever the message says.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from clarion.adapters.providers.proof import TOLERANCE_MS, refuse
from clarion.adapters.providers.webhooks import Fetch
from clarion.kernel.errors import Invalid

OLDEST_MS: Final = 3_600_000
"""How old a message may be. SNS signs when it publishes, not when it tries, and may go on trying for an hour."""

KEPT_CERTIFICATES: Final = 16
"""Amazon changes them about once a year, and there is one a region."""

_HASHES: Final[Mapping[str, HashAlgorithm]] = MappingProxyType(
    {"1": SHA1(), "2": SHA256()}  # noqa: S303  version 1 is what topics have that nobody changed
)
_CERTIFICATE_PATH: Final = re.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem")
_CONFIRMATION_QUERY: Final = re.compile(r"/\?[\w.%&=:;+-]{1,1000}")
_NOTIFICATION_FIELDS: Final = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONTROL_FIELDS: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class SnsMessage(msgspec.Struct, frozen=True, rename="pascal"):
    """A message as SNS posts it."""

    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    message: str
    message_id: str
    topic_arn: str
    timestamp: str
    signature: str
    signature_version: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)

    def signed_text(self) -> bytes:
        """What the signature is over: names and values a line each, in alphabetical order."""
        values: Mapping[str, str | None] = {
            "Message": self.message,
            "MessageId": self.message_id,
            "Subject": self.subject,
            "SubscribeURL": self.subscribe_url,
            "Timestamp": self.timestamp,
            "Token": self.token,
            "TopicArn": self.topic_arn,
            "Type": self.type,
        }
        names = _NOTIFICATION_FIELDS if self.type == "Notification" else _CONTROL_FIELDS
        return "".join(f"{name}\n{value}\n" for name in names if (value := values[name]) is not None).encode()


class Certificates:
    """The keys that Amazon signs with, by where they were fetched."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, x509.Certificate] = OrderedDict()

    async def get(self, url: str, fetch: Fetch) -> x509.Certificate:
        """The certificate at a url, fetched once. Raises Refused where there is none; Transient."""
        known = self._known.get(url)
        if known is not None:
            return known
        try:
            certificate = x509.load_pem_x509_certificate(await fetch(url))
        except ValueError as error:
            raise refuse("what signs the call is no certificate") from error
        self._known[url] = certificate
        if len(self._known) > KEPT_CERTIFICATES:
            self._known.popitem(last=False)
        return certificate


def read_sns(raw: bytes) -> SnsMessage:
    """The message of a body. Raises Invalid."""
    try:
        return msgspec.json.decode(raw, type=SnsMessage)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("the body is no message of SNS") from error


async def verify_sns(
    message: SnsMessage, topic_arn: str, now_ms: int, keys: tuple[Certificates, Fetch]
) -> None:
    """Raise Refused unless Amazon signed the message, for this topic, of late. `keys`: those known, and how to ask."""
    if not topic_arn:
        raise refuse("the account has no settings.topic_arn, by which its webhooks are proven")
    if message.topic_arn != topic_arn:
        raise refuse("the call is about another topic than settings.topic_arn")
    age_ms = now_ms - _time_ms(message.timestamp)
    if not -TOLERANCE_MS <= age_ms <= OLDEST_MS:
        raise refuse("the call was published more than an hour ago, or is from the future")
    known, fetch = keys
    path = _path_at_host(message.signing_cert_url, topic_arn)
    if not _CERTIFICATE_PATH.fullmatch(path):
        raise refuse("the call names a certificate that is not Amazon's")
    certificate = await known.get(message.signing_cert_url, fetch)
    key = certificate.public_key()
    signed_with = _HASHES.get(message.signature_version)
    if signed_with is None or not isinstance(key, RSAPublicKey) or not _is_valid(certificate, now_ms):
        raise refuse("the call is signed in a way that is not Amazon's")
    try:
        signature = base64.b64decode(message.signature, validate=True)
        key.verify(signature, message.signed_text(), PKCS1v15(), signed_with)
    except (InvalidSignature, binascii.Error, ValueError):
        raise refuse("the signature is not Amazon's") from None


async def confirm_subscription(message: SnsMessage, fetch: Fetch) -> None:
    """Tell Amazon that the topic's messages are wanted here. `message` is verified. Raises Refused; Transient."""
    url = message.subscribe_url or ""
    if not _CONFIRMATION_QUERY.fullmatch(_path_at_host(url, message.topic_arn)):
        raise refuse("the call asks to confirm at a place that is not Amazon's")
    await fetch(url)


def _path_at_host(url: str, topic_arn: str) -> str:
    """What of a url comes after the host of SNS in the topic's region; "" for a url of any other."""
    _, partition, _, region = topic_arn.split(":")[:4]
    suffix = ".cn" if partition == "aws-cn" else ""
    head = f"https://sns.{region}.amazonaws.com{suffix}"
    return url.removeprefix(head) if url.startswith(f"{head}/") else ""


def _time_ms(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise Invalid("the call's time is none") from None


def _is_valid(certificate: x509.Certificate, now_ms: int) -> bool:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins.timestamp() * 1000 <= now_ms <= ends.timestamp() * 1000
