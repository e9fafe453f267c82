"""A SendGrid account: its settings and credentials, checked."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Meta

from clarion.adapters.providers.base import Outside, read_settings
from clarion.adapters.providers.http.endpoint import Secret
from clarion.adapters.providers.mail.account import MailAccount, MailSettings, read_mail_account
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

_ENDPOINTS: Final = {"us": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}


class SendGridSettings(MailSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `settings` of a provider of kind `sendgrid`, beside those of all vendors of e-mail.

    `region`: where the account is. `ip_pool`: the addresses to send from ("": the account's usual ones). `webhook_key`:
    the verification key of the account's signed event webhook, as its page shows it; without it no receipt is taken.
    """

    region: Literal["us", "eu"] = "us"
    ip_pool: Annotated[str, Meta(pattern=r"\A(.{2,64})?\Z")] = ""
    webhook_key: Annotated[str, Meta(max_length=1000)] = ""


class SendGridCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `sendgrid`: an API key that may send mail."""

    api_key: Secret


class SendGridAccount(msgspec.Struct, frozen=True):
    """All that it takes to send."""

    mail: MailAccount
    api_key: str
    ip_pool: str


def read_account(config: ProviderConfig, outside: Outside) -> SendGridAccount:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    settings = read_settings("settings", config.settings, SendGridSettings)
    credentials = read_settings("credentials", config.credentials, SendGridCredentials)
    if settings.webhook_key:
        read_webhook_key(settings.webhook_key)
    mail = read_mail_account(config, settings, _ENDPOINTS[settings.region], outside)
    return SendGridAccount(mail, credentials.api_key, settings.ip_pool)


def read_webhook_key(text: str) -> EllipticCurvePublicKey:
    """The key that SendGrid signs events with: DER in base64. Raises Invalid."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise Invalid("not a public key as SendGrid shows it", "settings.webhook_key") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise Invalid(
            "SendGrid signs with a key of an elliptic curve; this one is none", "settings.webhook_key"
        )
    return key
