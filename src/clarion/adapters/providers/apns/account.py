"""An account with Apple: its settings and its signing key, checked."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from joserfc.jwk import ECKey
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S, read_settings
from clarion.adapters.providers.http.endpoint import Url, endpoint_of
from clarion.adapters.providers.push.account import (
    Concurrency,
    Pem,
    Seconds,
    check_push,
    read_ec_key,
)
from clarion.tenancy.config import ProviderConfig

ENDPOINTS: Final = {
    "production": "https://api.push.apple.com",
    "sandbox": "https://api.sandbox.push.apple.com",
}

_AppleId = Annotated[str, Meta(pattern=r"\A[A-Z0-9]{10}\Z")]


class ApnsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `settings` of a provider of kind `apns`.

    `topic`: the app's bundle id. `environment`: `sandbox` for builds that Xcode installs. `base_url`: another endpoint
    than Apple's ("": the environment's). `sound` is played with a message ("": none). `concurrency`: calls at a time,
    and messages in a batch. `timeout_s`: how long a call waits for Apple.
    """

    topic: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,200}\Z")]
    environment: Literal["production", "sandbox"] = "production"
    base_url: Url = ""
    sound: Annotated[str, Meta(max_length=100)] = "default"
    concurrency: Concurrency = 100
    timeout_s: Seconds = CALL_DEADLINE_S


class ApnsCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `apns`: the `.p8` key's text, its id, and the team's."""

    key: Pem
    key_id: _AppleId
    team_id: _AppleId


class ApnsAccount(msgspec.Struct, frozen=True):
    """All that it takes to send: where to, who we are, and the key that proves it."""

    settings: ApnsSettings
    base_url: str
    key_id: str
    team_id: str
    key: ECKey


def read_account(config: ProviderConfig) -> ApnsAccount:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    check_push(config)
    settings = read_settings("settings", config.settings, ApnsSettings)
    credentials = read_settings("credentials", config.credentials, ApnsCredentials)
    return ApnsAccount(
        settings,
        endpoint_of(settings.base_url, ENDPOINTS[settings.environment]),
        credentials.key_id,
        credentials.team_id,
        read_ec_key(credentials.key, "credentials.key"),
    )
