"""Settings and credentials of an account with Plivo."""

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

ENDPOINT: Final = "https://api.plivo.com"


class PlivoSettings(SmsSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `settings` of a provider of kind `plivo`: either `from` or `powerpack_uuid` (a pool of numbers)."""

    auth_id: Annotated[str, Meta(pattern=r"\A[MS]A[A-Za-z0-9]{18}\Z")]
    sender: Sender | None = msgspec.field(name="from", default=None)
    powerpack_uuid: Annotated[str, Meta(pattern=r"\A[0-9a-fA-F-]{36}\Z")] | None = None


class PlivoCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `plivo`. The token proves us to Plivo, and Plivo's webhooks to us.

    `previous_auth_token` proves webhooks, too, while it is being replaced.
    """

    auth_token: Secret
    previous_auth_token: Secret | None = None


class Account(msgspec.Struct, frozen=True):
    """All that it takes to write a request. `url`: that of the account's messages."""

    settings: PlivoSettings
    url: str
    authorization: str


def read_account(config: ProviderConfig) -> Account:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    check_channel(config)
    settings = read_settings("settings", config.settings, PlivoSettings)
    credentials = read_settings("credentials", config.credentials, PlivoCredentials)
    if (settings.sender is None) == (settings.powerpack_uuid is None):
        raise Invalid("a text message has one sender: either `from` or `powerpack_uuid`", "settings.from")
    pair = f"{settings.auth_id}:{credentials.auth_token}"
    return Account(
        settings,
        f"{endpoint_of(settings.base_url, ENDPOINT)}/v1/Account/{settings.auth_id}/Message/",
        "Basic " + base64.b64encode(pair.encode()).decode(),
    )
