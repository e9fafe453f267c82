"""Settings and credentials of an account with Vonage, for either of its two interfaces."""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from msgspec import Meta

from clarion.adapters.providers.base import read_settings
from clarion.adapters.providers.http.endpoint import Secret, endpoint_of
from clarion.adapters.providers.sms.account import Sender, SmsSettings, check_channel
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

MESSAGES_ENDPOINT: Final = "https://api.nexmo.com"
SMS_ENDPOINT: Final = "https://rest.nexmo.com"

SignatureMethod = Literal["md5hash", "md5", "sha1", "sha256", "sha512"]
"""How the SMS API signs, as Vonage's console names it: `md5hash` is a plain digest, the others are HMACs."""


class VonageSettings(SmsSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `settings` of a provider of kind `vonage`.

    `api`: which interface is spoken. `application_id`: whose key in the credentials signs for the Messages API; None:
    the key and secret of the account do. `signature_method`: of the webhooks of the SMS API.
    """

    api: Literal["messages", "sms"] = "messages"
    sender: Sender = msgspec.field(name="from")
    application_id: Annotated[str, Meta(pattern=r"\A[0-9a-fA-F-]{36}\Z")] | None = None
    signature_method: SignatureMethod = "sha256"


class VonageCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `vonage`.

    `api_key` with `api_secret`, or `private_key` (PEM) of the application. `signature_secret` proves webhooks, and
    so does `previous_signature_secret` while it is being replaced.
    """

    api_key: Secret | None = None
    api_secret: Secret | None = None
    private_key: str | None = None
    signature_secret: Secret | None = None
    previous_signature_secret: Secret | None = None


class Account(msgspec.Struct, frozen=True):
    """All that it takes to write a request. `key`: signs for the application; None: `authorization` is constant."""

    settings: VonageSettings
    credentials: VonageCredentials
    url: str
    authorization: str
    key: RSAKey | None = None


def read_account(config: ProviderConfig) -> Account:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    check_channel(config)
    settings = read_settings("settings", config.settings, VonageSettings)
    credentials = read_settings("credentials", config.credentials, VonageCredentials)
    if settings.api == "sms":
        endpoint = endpoint_of(settings.base_url, SMS_ENDPOINT)
        _basic(credentials)
        return Account(settings, credentials, f"{endpoint}/sms/json", "")
    url = f"{endpoint_of(settings.base_url, MESSAGES_ENDPOINT)}/v1/messages"
    if settings.application_id is None:
        if credentials.private_key is not None:
            raise Invalid("a private key needs its application", "settings.application_id")
        return Account(settings, credentials, url, _basic(credentials))
    return Account(settings, credentials, url, "", _read_key(credentials.private_key))


def _basic(credentials: VonageCredentials) -> str:
    """The header that names the account. Raises Invalid where a part of it is missing."""
    for name in ("api_key", "api_secret"):
        if getattr(credentials, name) is None:
            raise Invalid(f"{name} is missing", f"credentials.{name}")
    pair = f"{credentials.api_key}:{credentials.api_secret}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _read_key(pem: str | None) -> RSAKey:
    if pem is None:
        raise Invalid("an application needs its private key in PEM", "credentials.private_key")
    try:
        key = RSAKey.import_key(pem)
    except (JoseError, ValueError) as error:
        raise Invalid("not an RSA private key in PEM", "credentials.private_key") from error
    if not key.is_private:
        raise Invalid("this is the public half: the private key is needed", "credentials.private_key")
    return key
