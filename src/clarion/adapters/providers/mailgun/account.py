"""A Mailgun account: its settings and credentials, checked."""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import Outside, read_settings
from clarion.adapters.providers.http.endpoint import Secret
from clarion.adapters.providers.mail.account import MailAccount, MailSettings, read_mail_account
from clarion.tenancy.config import ProviderConfig

_ENDPOINTS: Final = {"us": "https://api.mailgun.net", "eu": "https://api.eu.mailgun.net"}


class MailgunSettings(MailSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `settings` of a provider of kind `mailgun`, beside those of all vendors of e-mail.

    `domain`: the sending domain as Mailgun knows it. `region`: where the account is.
    """

    domain: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9.-]{1,253}\Z")]
    region: Literal["us", "eu"] = "us"


class MailgunCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `mailgun`.

    `api_key`: the account's, or a sending key of the domain. `webhook_key`: the HTTP webhook signing key; without it no
    receipt is taken.
    """

    api_key: Secret
    webhook_key: str = ""


class MailgunAccount(msgspec.Struct, frozen=True):
    """All that it takes to send. `authorization`: the header's value."""

    mail: MailAccount
    domain: str
    authorization: str


def read_account(config: ProviderConfig, outside: Outside) -> MailgunAccount:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    settings = read_settings("settings", config.settings, MailgunSettings)
    credentials = read_settings("credentials", config.credentials, MailgunCredentials)
    mail = read_mail_account(config, settings, _ENDPOINTS[settings.region], outside)
    login = base64.b64encode(f"api:{credentials.api_key}".encode()).decode()
    return MailgunAccount(mail, settings.domain, f"Basic {login}")
