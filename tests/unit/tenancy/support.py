"""An identity provider as an attacker would like it: one who signs anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

import msgspec
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from clarion.tenancy.issuers import TokenIssuer
from clarion.tenancy.key_sets import Algorithm

NOW_S: Final = 1_800_000_000.0
ISSUER: Final = "https://login.example.com/"
AUDIENCE: Final = "urn:shop"
TENANT: Final = b"t" * 16

RSA: Final = RSAKey.generate_key(2048)
EC: Final = ECKey.generate_key("P-256")
ED: Final = OKPKey.generate_key("Ed25519")
SECRET: Final = OctKey.generate_key(512)

KEYS: Final[dict[Algorithm, Any]] = {
    "HS256": SECRET,
    "HS384": SECRET,
    "HS512": SECRET,
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": EC,
    "ES384": ECKey.generate_key("P-384"),
    "ES512": ECKey.generate_key("P-521"),
    "EdDSA": ED,
}


_KEYS_BY_NAME: Final[dict[str, Any]] = {**KEYS}


def pack(value: Any) -> bytes:
    """Base64url of JSON, or of bytes."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that are believed at NOW_S; None leaves one out."""
    said = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW_S + 60, "scope": "users:read", **changes}
    return {name: value for name, value in said.items() if value is not None}


def sign(algorithm: str, said: dict[str, Any] | bytes, key: Any = None, **header: Any) -> bytes:
    """A token, signed with the algorithm's key or another one."""
    signed = pack({"alg": algorithm, "kid": "k", **header}) + b"." + pack(said)
    signer = JWSRegistry.algorithms[algorithm]
    return signed + b"." + pack(signer.sign(signed, _KEYS_BY_NAME[algorithm] if key is None else key))


def sign_hmac(secret: bytes, said: dict[str, Any], **header: Any) -> bytes:
    """A token signed with any bytes as its secret."""
    signed = pack({"alg": "HS256", "kid": "k", **header}) + b"." + pack(said)
    return signed + b"." + pack(hmac.digest(secret, signed, hashlib.sha256))


def jwks(*algorithms: Algorithm, **changes: Any) -> bytes:
    """The published set of these algorithms' keys, named `k`, `k1`, …"""
    keys = [
        {
            **KEYS[algorithm].as_dict(private=algorithm.startswith("HS")),
            "kid": f"k{i or ''}",
            "alg": algorithm,
            **changes,
        }
        for i, algorithm in enumerate(algorithms)
    ]
    return msgspec.json.encode({"keys": keys})


def issuer(*algorithms: Algorithm, **changes: Any) -> TokenIssuer:
    """An issuer of the tenant TENANT that may give everything."""
    plain = TokenIssuer(
        TENANT, "login", ISSUER, AUDIENCE, "live", algorithms, ("*",), key_set=jwks(*algorithms)
    )
    return msgspec.structs.replace(plain, **changes)
