"""Settings and credentials of an account with Twilio."""

from __future__ import annotations

import base64
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import read_settings
from clarion.adapters.providers.http.endpoint import Secret, endpoint_of
from clarion.adapters.providers.sms.account import Sender, SmsSettings, check_channel
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

ENDPOINT: Final = "https://api.twilio.com"


class TwilioSettings(SmsSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `settings` of a provider of kind `twilio`: `from` or `messaging_service_sid`, or both.

    `validity_s`: how long Twilio may keep a message in its queue before it gives it up (0: its own 10 hours).
    """

    account_sid: Annotated[str, Meta(pattern=r"\AAC[0-9a-fA-F]{32}\Z")]
    sender: Sender | None = msgspec.field(name="from", default=None)
    messaging_service_sid: Annotated[str, Meta(pattern=r"\AMG[0-9a-fA-F]{32}\Z")] | None = None
    validity_s: Annotated[int, Meta(ge=0, le=36_000)] = 0


class TwilioCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `twilio`.

    `auth_token` proves Twilio's webhooks, and us to Twilio where there is no `api_key_sid` with its `api_key_secret`.
    `webhook_secret`: a shared key, for accounts whose webhooks are signed with HMAC-SHA256. Those that begin with
    `previous_` prove webhooks, too, while they are being replaced.
    """

    auth_token: Secret
    api_key_sid: Secret | None = None
    api_key_secret: Secret | None = None
    webhook_secret: Secret | None = None
    previous_auth_token: Secret | None = None
    previous_webhook_secret: Secret | None = None


class Account(msgspec.Struct, frozen=True):
    """All that it takes to write a request. `url`: that of the account's messages."""

    settings: TwilioSettings
    url: str
    authorization: str


def read_account(config: ProviderConfig) -> Account:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    check_channel(config)
    settings = read_settings("settings", config.settings, TwilioSettings)
    credentials = read_settings("credentials", config.credentials, TwilioCredentials)
    if settings.sender is None and settings.messaging_service_sid is None:
        raise Invalid("a text message needs a sender: `from` or `messaging_service_sid`", "settings.from")
    if (credentials.api_key_sid is None) != (credentials.api_key_secret is None):
        missing = "api_key_sid" if credentials.api_key_sid is None else "api_key_secret"
        raise Invalid("api_key_sid and api_key_secret go together", f"credentials.{missing}")
    user = credentials.api_key_sid or settings.account_sid
    secret = credentials.api_key_secret or credentials.auth_token
    endpoint = endpoint_of(settings.base_url, ENDPOINT)
    return Account(
        settings,
        f"{endpoint}/2010-04-01/Accounts/{settings.account_sid}/Messages.json",
        "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode(),
    )
