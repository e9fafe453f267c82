"""An SES account: its settings and credentials, checked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import Outside, read_settings
from clarion.adapters.providers.http.endpoint import Secret
from clarion.adapters.providers.mail.account import MailAccount, MailSettings, read_mail_account
from clarion.adapters.providers.ses.sigv4 import AwsKey
from clarion.tenancy.config import ProviderConfig


class SesSettings(MailSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `settings` of a provider of kind `ses`, beside those of all vendors of e-mail.

    `configuration_set`: the one that publishes events to the topic. `topic_arn`: the SNS topic whose messages are
    receipts; without it no receipt is taken, for anybody can make a topic that Amazon signs for.
    """

    region: Annotated[str, Meta(pattern=r"\A[a-z]{2}(-[a-z]+)+-\d\Z")]
    configuration_set: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{0,64}\Z")] = ""
    topic_arn: Annotated[
        str, Meta(pattern=r"\A(arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256})?\Z")
    ] = ""


class SesCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `ses`: an access key that may `ses:SendEmail` and `ses:SendBulkEmail`."""

    access_key_id: Annotated[str, Meta(pattern=r"\A\w{16,128}\Z")]
    secret_access_key: Secret
    session_token: Annotated[str, Meta(pattern=r"\A[\x21-\x7e]*\Z")] = ""


class SesAccount(msgspec.Struct, frozen=True):
    """All that it takes to send."""

    mail: MailAccount
    key: AwsKey
    region: str
    configuration_set: str


def read_account(config: ProviderConfig, outside: Outside) -> SesAccount:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    settings = read_settings("settings", config.settings, SesSettings)
    credentials = read_settings("credentials", config.credentials, SesCredentials)
    suffix = ".cn" if settings.region.startswith("cn-") else ""
    usual = f"https://email.{settings.region}.amazonaws.com{suffix}"
    key = AwsKey(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    mail = read_mail_account(config, settings, usual, outside)
    return SesAccount(mail, key, settings.region, settings.configuration_set)
