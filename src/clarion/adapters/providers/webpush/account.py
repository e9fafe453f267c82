"""An account for Web Push: the key that browsers subscribed to, checked."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey
from msgspec import Meta

from clarion.adapters.providers.base import read_settings
from clarion.adapters.providers.push.account import Concurrency, Seconds, check_push, read_ec_key
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

MAX_TTL_S: Final = 2_419_200
"""Four weeks: the longest that any push service keeps a message."""

_KEY_PATH: Final = "credentials.private_key"


class WebPushSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `settings` of a provider of kind `webpush`.

    `subject`: whom a push service may turn to, `mailto:` or `https:`. `ttl_s`: how long a message without an expiry
    waits for its browser. `concurrency`: calls at a time, and messages in a batch. `timeout_s`: how long a call waits;
    short, because whoever subscribes chooses the server. `base_url`: where to send in place of the servers that
    subscriptions name, such as a relay ("": there). `receipts_url`: this installation's public address and what the
    account shows as `receipts.url`; each message then says where its page reports that it was shown, opened or clicked.
    """

    subject: Annotated[str, Meta(pattern=r"\A(mailto:[^\s@]+@[^\s@]+|https://\S+)\Z", max_length=500)]
    ttl_s: Annotated[int, Meta(ge=0, le=MAX_TTL_S)] = MAX_TTL_S
    concurrency: Concurrency = 100
    timeout_s: Seconds = 10.0
    base_url: Annotated[str, Meta(pattern=r"\A(https?://[^\s/?#@]+)?\Z", max_length=300)] = ""
    receipts_url: Annotated[str, Meta(pattern=r"\A(https?://[^\s#]+)?\Z", max_length=500)] = ""


class WebPushCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `webpush`: VAPID's private key, in PEM or as 32 bytes of base64url."""

    private_key: Annotated[str, Meta(min_length=1, max_length=4096)]


class WebPushAccount(msgspec.Struct, frozen=True):
    """All that it takes to send: who we are, and the key that proves it. `public_key`: as browsers subscribe to it."""

    settings: WebPushSettings
    key: ECKey
    public_key: str


def read_account(config: ProviderConfig) -> WebPushAccount:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    check_push(config)
    settings = read_settings("settings", config.settings, WebPushSettings)
    credentials = read_settings("credentials", config.credentials, WebPushCredentials)
    key = _read_key(credentials.private_key)
    return WebPushAccount(settings, key, public_key_of(key))


def public_key_of(key: ECKey) -> str:
    """The public half of a key as VAPID wants it: an uncompressed point, in base64url."""
    jwk = key.as_dict(private=False)
    point = b"\x04" + _decode(str(jwk["x"])) + _decode(str(jwk["y"]))
    return urlsafe_b64encode(point).decode().rstrip("=")


def _read_key(text: str) -> ECKey:
    if "-----BEGIN" in text:
        return read_ec_key(text, _KEY_PATH)
    try:
        scalar = int.from_bytes(_decode(text.strip()))
        pem = ec.derive_private_key(scalar, ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    except ValueError:
        raise Invalid("this is no private key: neither PEM nor 32 bytes of base64url", _KEY_PATH) from None
    return read_ec_key(pem.decode(), _KEY_PATH)


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
