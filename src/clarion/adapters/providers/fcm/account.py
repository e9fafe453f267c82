"""An account with Firebase: its settings and its service account, checked."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from joserfc.jwk import RSAKey
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S, read_settings
from clarion.adapters.providers.http.endpoint import Url, endpoint_of
from clarion.adapters.providers.push.account import (
    Concurrency,
    Pem,
    Seconds,
    check_push,
    read_rsa_key,
)
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

ENDPOINT: Final = "https://fcm.googleapis.com"
TOKEN_ENDPOINT: Final = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
_KEY_PATH: Final = "credentials.service_account"
_ProjectId = Annotated[str, Meta(pattern=r"\A[a-z0-9.:-]{1,100}\Z")]


class FcmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `settings` of a provider of kind `fcm`.

    `project_id`: another project than the service account's (null: that). `base_url`: another endpoint than Google's.
    `concurrency`: calls at a time, and messages in a batch. `timeout_s`: how long a call waits for Google.
    """

    project_id: _ProjectId | None = None
    base_url: Url = ""
    concurrency: Concurrency = 100
    timeout_s: Seconds = CALL_DEADLINE_S


class ServiceAccount(msgspec.Struct, frozen=True):
    """The parts that we need of the JSON file that Google gives out for a service account."""

    client_email: Annotated[str, Meta(min_length=3, max_length=320)]
    private_key: Pem
    project_id: _ProjectId
    private_key_id: Annotated[str, Meta(max_length=200)] = ""
    token_uri: Url = TOKEN_ENDPOINT


class FcmCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `fcm`: the service account's file, as it is."""

    service_account: Annotated[str, Meta(min_length=2, max_length=32_768)]


class FcmAccount(msgspec.Struct, frozen=True):
    """All that it takes to send: where to, who we are, and the key that proves it."""

    settings: FcmSettings
    send_url: str
    owner: ServiceAccount
    token_url: str
    key: RSAKey


def read_account(config: ProviderConfig) -> FcmAccount:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    check_push(config)
    settings = read_settings("settings", config.settings, FcmSettings)
    credentials = read_settings("credentials", config.credentials, FcmCredentials)
    owner = _read_owner(credentials.service_account)
    base_url = endpoint_of(settings.base_url, ENDPOINT)
    return FcmAccount(
        settings,
        f"{base_url}/v1/projects/{settings.project_id or owner.project_id}/messages:send",
        owner,
        _token_url(owner),
        read_rsa_key(owner.private_key, f"{_KEY_PATH}.private_key"),
    )


def _token_url(owner: ServiceAccount) -> str:
    try:
        return endpoint_of(owner.token_uri, TOKEN_ENDPOINT)
    except Invalid as error:
        raise Invalid(error.detail, f"{_KEY_PATH}.token_uri") from None


def _read_owner(text: str) -> ServiceAccount:
    try:
        raw = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("this is not the JSON file of a service account", _KEY_PATH) from None
    return read_settings(_KEY_PATH, raw, ServiceAccount)
