"""What accounts of all push services have in common: limits, and a key to sign with."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

Concurrency: TypeAlias = Annotated[int, Meta(ge=1, le=500)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=CALL_DEADLINE_S)]
Pem: TypeAlias = Annotated[str, Meta(min_length=1, max_length=16_384)]


def check_push(config: ProviderConfig) -> None:
    """Raises Invalid for an account of another channel."""
    if config.channel != "push":
        msg = f"a provider of kind {config.kind} carries push"
        raise Invalid(msg, "channel")


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
