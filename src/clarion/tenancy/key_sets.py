"""Key sets (RFC 7517) that verify tokens: each key with the one algorithm that it may be used with.

The algorithm follows from the key and from what the issuer was set up with, never from a token: one that names another
is refused, so that a public RSA key can be no HMAC secret, and `none` is no algorithm at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import msgspec
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from clarion.kernel.errors import Invalid

Algorithm: TypeAlias = Literal[
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)

MAX_KEYS: Final = 50
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Checking a signature of a larger one would take longer than a request should."""

_KINDS: Final = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
_IMPORTERS: Final = {"oct": OctKey, "RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_BITS: Final = 8


class VerifyingKey(msgspec.Struct, frozen=True):
    """A key of an issuer. `kid` "": it has no name. `key` is joserfc's."""

    kid: str
    algorithm: Algorithm
    key: RSAKey | ECKey | OKPKey | OctKey

    def __repr__(self) -> str:
        """Without the key itself, which may be a secret."""
        return f"VerifyingKey({self.kid!r}, {self.algorithm})"


class KeySet(msgspec.Struct, frozen=True):
    """The keys of an issuer, by name."""

    keys: dict[str, VerifyingKey]

    def find(self, kid: str) -> VerifyingKey | None:
        """The key of this name; a token that names none (`kid` "") means the only key that there is."""
        if not kid and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        return self.keys.get(kid)


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


_decoder: Final = msgspec.json.Decoder(_Jwks)


def read_key_set(raw: bytes, algorithms: Sequence[Algorithm], *, lenient: bool = False) -> KeySet:
    """The keys of a JWKS (JSON) that may be used with `algorithms`.

    Raises Invalid with the path (`keys[1].alg`) of what is wrong. `lenient`: keys that cannot be used are passed over,
    as an issuer's published set may hold some for other purposes; only a set without any other is refused.
    """
    try:
        jwks = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid('is no key set: it must be {"keys": […]}', "keys") from None
    if len(jwks.keys) > MAX_KEYS:
        raise Invalid(f"has {len(jwks.keys)} keys, where {MAX_KEYS} are the most", "keys")
    found: dict[str, VerifyingKey] = {}
    for i, parameters in enumerate(jwks.keys):
        try:
            key = _read_key(parameters, algorithms, found)
        except Invalid as error:
            if lenient:
                continue
            raise Invalid(error.detail, f"keys[{i}].{error.path}".rstrip(".")) from None
        found[key.kid] = key
    if not found:
        raise Invalid("has no key that can be used with these algorithms", "keys")
    if len(found) > 1 and "" in found:
        raise Invalid("each key needs a `kid` where there are several", "keys")
    return KeySet(found)


def _read_key(
    parameters: dict[str, Any], algorithms: Sequence[Algorithm], taken: Collection[str]
) -> VerifyingKey:
    kind, kid = parameters.get("kty"), parameters.get("kid", "")
    if not isinstance(kind, str) or kind not in _IMPORTERS:
        raise Invalid("is one of oct, RSA, EC and OKP", "kty")
    if not isinstance(kid, str):
        raise Invalid("is a string", "kid")
    if kid in taken:
        raise Invalid("is the name of another key too", "kid")
    if parameters.get("use", "sig") != "sig" or "verify" not in _operations(parameters):
        raise Invalid("is not meant for verifying signatures", "use")
    if kind != "oct" and "d" in parameters:
        raise Invalid("is a private key; give the public one only, and consider this one known", "d")
    algorithm = _algorithm_of(kind, parameters, algorithms)
    key = _import(kind, parameters)
    _check_strength(key, algorithm)
    return VerifyingKey(kid, algorithm, key)


def canonical(algorithm: object) -> object:
    """An algorithm by the name that is used here: RFC 9864 renamed `EdDSA` after its curve."""
    return "EdDSA" if algorithm == "Ed25519" else algorithm


def _operations(parameters: dict[str, Any]) -> list[object]:
    given: object = parameters.get("key_ops", ["verify"])
    return cast("list[object]", given) if isinstance(given, list) else []


def _algorithm_of(kind: str, parameters: dict[str, Any], algorithms: Sequence[Algorithm]) -> Algorithm:
    """The one algorithm of a key: that which it names, or the only one of the issuer's that fits it."""
    curve = parameters.get("crv")
    fitting: list[Algorithm] = [
        algorithm
        for algorithm in algorithms
        if _KINDS[algorithm[:2]] == kind and _CURVES.get(algorithm, curve) == curve
    ]
    named = parameters.get("alg")
    if named is not None:
        fitting = [algorithm for algorithm in fitting if algorithm == canonical(named)]
    if len(fitting) != 1:
        raise Invalid("is needed, and must be one of the issuer's algorithms that fits the key", "alg")
    return fitting[0]


def _import(kind: str, parameters: dict[str, Any]) -> RSAKey | ECKey | OKPKey | OctKey:
    wanted = {name: value for name, value in parameters.items() if name not in {"alg", "use", "key_ops"}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)
            return _IMPORTERS[kind].import_key(wanted)
    except (JoseError, SecurityWarning, ValueError, TypeError, KeyError, AttributeError):
        raise Invalid("its numbers are no key of this kind, or a weak one", "kty") from None


def _check_strength(key: RSAKey | ECKey | OKPKey | OctKey, algorithm: Algorithm) -> None:
    if isinstance(key, RSAKey):
        bits = key.raw_value.key_size
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise Invalid(f"has {bits} bits, where {MIN_RSA_BITS} to {MAX_RSA_BITS} are needed", "n")
    elif isinstance(key, OctKey) and len(key.raw_value) * _BITS < int(algorithm[2:]):
        raise Invalid(f"has {len(key.raw_value)} bytes, where {int(algorithm[2:]) // _BITS} are needed", "k")
