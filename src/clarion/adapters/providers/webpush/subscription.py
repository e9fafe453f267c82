"""A browser's subscription, as pages get it from `PushSubscription.toJSON()` and register it as a device's token."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from clarion.adapters.providers.webpush.encryption import read_point

_SECRET_BYTES: Final = 16


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Raw(msgspec.Struct):
    endpoint: Annotated[str, Meta(min_length=8, max_length=2048)]
    keys: _Keys


class Subscription(msgspec.Struct, frozen=True):
    """Where to send, and how to encrypt. `origin` is the endpoint's scheme, host and port; `path` the rest of it."""

    origin: str
    path: str
    receiver: ec.EllipticCurvePublicKey
    secret: bytes


class _Endpoint(msgspec.Struct):
    endpoint: str


_decode: Final = msgspec.json.Decoder(_Raw).decode
_decode_endpoint: Final = msgspec.json.Decoder(_Endpoint).decode


def read_subscription(token: str) -> Subscription:
    """The subscription in a device's token. Raises ValueError where it is none that could ever be sent to."""
    try:
        raw = _decode(token)
    except RecursionError:
        raise ValueError("this is no subscription") from None
    parts = urlsplit(raw.endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError("the endpoint is no address of a server")
    if not (raw.endpoint.isascii() and raw.endpoint.isprintable()) or " " in raw.endpoint:
        raise ValueError("the endpoint is no address of a server")
    secret = _bytes(raw.keys.auth)
    if len(secret) != _SECRET_BYTES:
        raise ValueError("the secret has 16 bytes")
    path = raw.endpoint.split("://", 1)[1][len(parts.netloc) :]
    return Subscription(_origin(parts), path, read_point(_bytes(raw.keys.p256dh)), secret)


def origin_of(token: str) -> str:
    """The origin of a token that `read_subscription` has read; without its keys, which take ten times as long."""
    return _origin(urlsplit(_decode_endpoint(token).endpoint))


def _origin(parts: SplitResult) -> str:
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}:{parts.port}" if parts.port else f"{parts.scheme}://{name}"


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
