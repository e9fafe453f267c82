"""What accounts of all push services have in common: an endpoint, limits, a key to sign with."""

from __future__ import annotations

import ipaddress
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

Url: TypeAlias = Annotated[str, Meta(max_length=2048)]
Concurrency: TypeAlias = Annotated[int, Meta(ge=1, le=500)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=CALL_DEADLINE_S)]
Pem: TypeAlias = Annotated[str, Meta(min_length=1, max_length=16_384)]


def check_push(config: ProviderConfig) -> None:
    """Raises Invalid for an account of another channel."""
    if config.channel != "push":
        msg = f"a provider of kind {config.kind} carries push"
        raise Invalid(msg, "channel")


def check_url(url: str, path: str) -> str:
    """A vendor's address, without the slash at its end. Raises Invalid at `path` where it would not do.

    Credentials go there, so it is encrypted, or on this machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid("this is no address of a server", path) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise Invalid("this is no address of a server: it begins with https://", path)
    if parts.scheme == "http" and not _is_loopback(host):
        raise Invalid("credentials need an encrypted connection: https", path)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise Invalid("an address has no query, fragment or user here", path)
    return url.rstrip("/")


def read_ec_key(pem: str, path: str) -> ECKey:
    """A private key on the curve P-256, of PEM. Raises Invalid at `path`."""
    try:
        key = ECKey.import_key(pem)
    except (JoseError, ValueError):
        raise Invalid("this is no private key in PEM", path) from None
    if not key.is_private or key.curve_name != "P-256":
        raise Invalid("this is no private key on the curve P-256", path)
    return key


def read_rsa_key(pem: str, path: str) -> RSAKey:
    """A private RSA key, of PEM. Raises Invalid at `path`."""
    try:
        key = RSAKey.import_key(pem)
    except (JoseError, ValueError):
        raise Invalid("this is no private RSA key in PEM", path) from None
    if not key.is_private:
        raise Invalid("this is a public key; signing needs the private one", path)
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
