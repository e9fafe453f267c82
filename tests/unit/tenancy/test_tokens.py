"""Tokens: what is believed, and a corpus of what is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from clarion.tenancy.key_sets import ALGORITHMS, Algorithm, read_key_set
from clarion.tenancy.model import Principal
from clarion.tenancy.tokens import (
    LEEWAY_S,
    MAX_TOKEN_BYTES,
    TokenRefused,
    believe,
    choose_issuer,
    looks_like_token,
    read_token,
)
from tests.unit.tenancy.support import (
    AUDIENCE,
    EC,
    ED,
    ISSUER,
    NOW_S,
    RSA,
    SECRET,
    TENANT,
    claims,
    issuer,
    jwks,
    pack,
    sign,
    sign_hmac,
)


def bearer(
    text: bytes, *algorithms: Algorithm, now_s: float = NOW_S, key_set: bytes = b"", **changes: Any
) -> Principal:
    """Who brings the token to an issuer of these algorithms."""
    known = issuer(*algorithms, **changes)
    token = read_token(text)
    keys = read_key_set(key_set or known.key_set, algorithms)
    return believe(token, choose_issuer(token, [known]), keys, now_s)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_algorithm_is_its_bearer(algorithm: Algorithm):
    principal = bearer(sign(algorithm, claims()), algorithm)
    assert principal == Principal(TENANT, "token:login", "live", frozenset({"users:read"}))


def test_the_newer_name_of_eddsa_is_the_same():
    assert bearer(sign("EdDSA", claims()), "EdDSA", key_set=jwks("EdDSA", alg="Ed25519"))
    token = sign("Ed25519", claims(), ED)
    assert bearer(token, "EdDSA").scopes == {"users:read"}


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ({"scope": "users:read users:write"}, {"users:read", "users:write"}),
        ({"scope": None, "scopes": ["users:read", 7]}, {"users:read"}),
        ({"scope": None, "scopes": "users:read"}, {"users:read"}),
        ({"scope": "users:read", "scopes": ["keys:read"]}, {"users:read", "keys:read"}),
        ({"scope": "users:fly openid"}, set[str]()),
        ({"scope": None}, set[str]()),
        ({"scope": {"users:read": True}}, set[str]()),
        ({"scope": "*"}, {"*"}),
    ],
)
def test_scopes_are_what_the_token_asks_for(said: dict[str, Any], scopes: set[str]):
    assert bearer(sign("ES256", claims(**said)), "ES256").scopes == scopes


@pytest.mark.parametrize("asked", ["*", "keys:write", "users:read keys:write"])
def test_no_token_has_more_than_its_issuer_may_give(asked: str):
    principal = bearer(sign("ES256", claims(scope=asked)), "ES256", scopes=("users:read",))
    assert principal.scopes <= {"users:read"}


def test_the_environment_is_the_issuers_whatever_the_token_says():
    said = claims(environment="live", tenant_id="someone-else", tenant="other")
    principal = bearer(sign("ES256", said), "ES256", environment="test")
    assert (principal.tenant_id, principal.environment) == (TENANT, "test")


@pytest.mark.parametrize(
    ("said", "now_s"),
    [
        ({}, NOW_S + 60 + LEEWAY_S - 1),
        ({"nbf": NOW_S}, NOW_S - LEEWAY_S),
        ({"iat": NOW_S + LEEWAY_S}, NOW_S),
        ({"aud": ["urn:other", AUDIENCE]}, NOW_S),
    ],
)
def test_times_and_audiences_within_bounds(said: dict[str, Any], now_s: float):
    assert bearer(sign("ES256", claims(**said)), "ES256", now_s=now_s)


PUBLIC_PEM = RSA.as_pem(private=False)
GOOD = sign("RS256", claims())
HEAD, BODY, SIGNATURE = GOOD.split(b".")
STRANGER = RSAKey.generate_key(2048)

CORPUS: dict[str, bytes] = {
    "nothing": b"..",
    "no signature": HEAD + b"." + BODY + b".",
    "alg none": pack({"alg": "none", "kid": "k"}) + b"." + BODY + b".",
    "alg none with a signature": pack({"alg": "none", "kid": "k"}) + b"." + BODY + b"." + SIGNATURE,
    "alg nOnE": pack({"alg": "nOnE", "kid": "k"}) + b"." + BODY + b"." + SIGNATURE,
    "alg empty": pack({"alg": "", "kid": "k"}) + b"." + BODY + b"." + SIGNATURE,
    "alg missing": pack({"kid": "k"}) + b"." + BODY + b"." + SIGNATURE,
    "alg a list": pack({"alg": ["RS256"], "kid": "k"}) + b"." + BODY + b"." + SIGNATURE,
    "public PEM as secret": sign_hmac(PUBLIC_PEM, claims()),
    "public DER as secret": sign_hmac(RSA.as_der(private=False), claims()),
    "public JWK as secret": sign_hmac(jwks("RS256"), claims()),
    "empty secret": sign_hmac(b"", claims()),
    "RS384 with the RS256 key": sign("RS384", claims()),
    "PS256 with the RS256 key": sign("PS256", claims()),
    "a stranger's key": sign("RS256", claims(), STRANGER),
    "a stranger's key in the header": sign("RS256", claims(), STRANGER, jwk=STRANGER.as_dict(private=False)),
    "a key to be fetched": sign("RS256", claims(), STRANGER, jku="https://evil.example/keys"),
    "a certificate to be fetched": sign("RS256", claims(), STRANGER, x5u="https://evil.example/cert"),
    "kid of nobody": sign("RS256", claims(), kid="other"),
    "kid as path": sign("RS256", claims(), kid="../../../../dev/null"),
    "kid as SQL": sign("RS256", claims(), kid="k' UNION SELECT 'x' --"),
    "kid as URL": sign("RS256", claims(), kid="https://evil.example/key"),
    "kid a number": sign("RS256", claims(), kid=7),
    "kid huge": sign("RS256", claims(), kid="k" * 501),
    "crit": sign("RS256", claims(), crit=["exp"]),
    "b64 false": sign("RS256", claims(), b64=False),
    "changed claims": HEAD + b"." + pack(claims(scope="*")) + b"." + SIGNATURE,
    "changed header": pack({"alg": "RS256", "kid": "k", "typ": "x"}) + b"." + BODY + b"." + SIGNATURE,
    "cut signature": GOOD[:-10],
    "padding": GOOD + b"=",
    "four parts": GOOD + b".x",
    "encrypted": GOOD + b".x.y",
    "spaces": GOOD.replace(b".", b". ", 1),
    "not base64url": HEAD + b"." + BODY + b".+/+/",
    "no issuer": sign("RS256", claims(iss=None)),
    "another issuer": sign("RS256", claims(iss="https://evil.example/")),
    "issuer with a slash less": sign("RS256", claims(iss=ISSUER.rstrip("/"))),
    "issuer a list": sign("RS256", claims(iss=[ISSUER])),
    "no audience": sign("RS256", claims(aud=None)),
    "another audience": sign("RS256", claims(aud="urn:other")),
    "audience in part": sign("RS256", claims(aud=AUDIENCE[:-1])),
    "no audiences": sign("RS256", claims(aud=[])),
    "many audiences": sign("RS256", claims(aud=[f"urn:{i}" for i in range(30)] + [AUDIENCE])),
    "no expiry": sign("RS256", claims(exp=None)),
    "expired": sign("RS256", claims(exp=NOW_S - LEEWAY_S)),
    "expiry a text": sign("RS256", claims(exp=str(NOW_S + 60))),
    "expiry true": sign("RS256", claims(exp=True)),
    "expiry never": sign("RS256", claims(exp=1e300)),
    "not yet": sign("RS256", claims(nbf=NOW_S + LEEWAY_S + 1)),
    "made tomorrow": sign("RS256", claims(iat=NOW_S + 86_400)),
    "claims a list": sign("RS256", b"[]"),
    "claims no JSON": sign("RS256", b"{"),
    "claims not UTF-8": sign("RS256", b'{"iss":"\xff"}'),
    "claims deep": sign("RS256", b'{"x":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "huge": sign("RS256", claims(pad="x" * MAX_TOKEN_BYTES)),
}


@pytest.mark.parametrize("name", CORPUS)
def test_what_nobody_should_believe(name: str):
    with pytest.raises(TokenRefused):
        bearer(CORPUS[name], "RS256")


def test_the_one_that_the_corpus_was_made_of_is_believed():
    assert bearer(GOOD, "RS256")


def test_an_hmac_token_is_held_against_a_secret_only():
    both = msgspec.json.encode(
        {
            "keys": [
                *msgspec.json.decode(jwks("RS256"))["keys"],
                *msgspec.json.decode(jwks("HS256", kid="s"))["keys"],
            ]
        }
    )
    keys = read_key_set(both, ("RS256", "HS256"))
    token = read_token(sign_hmac(PUBLIC_PEM, claims()))
    with pytest.raises(TokenRefused):
        believe(token, issuer("RS256"), keys, NOW_S)
    honest = read_token(sign("HS256", claims(), SECRET, kid="s"))
    assert believe(honest, issuer("RS256"), keys, NOW_S)


@pytest.mark.parametrize("signature", [b"\x00" * 64, b"\xff" * 64, b"", b"\x00" * 63])
def test_no_signature_of_noughts_is_one(signature: bytes):
    signed = pack({"alg": "ES256", "kid": "k"}) + b"." + pack(claims())
    with pytest.raises(TokenRefused):
        bearer(signed + b"." + pack(signature), "ES256")


def test_a_token_without_kid_means_the_only_key_and_never_one_of_several():
    without = pack({"alg": "ES256"}) + b"." + pack(claims())
    token = without + b"." + pack(_ec_signature(without))
    assert bearer(token, "ES256")
    with pytest.raises(TokenRefused):
        bearer(token, "ES256", "RS256")


def _ec_signature(signed: bytes) -> bytes:
    return JWSRegistry.algorithms["ES256"].sign(signed, EC)


def test_two_tenants_with_one_issuer_are_told_apart_by_the_audience():
    mine = issuer("ES256")
    theirs = msgspec.structs.replace(mine, tenant_id=b"o" * 16, audience="urn:other")
    token = read_token(sign("ES256", claims()))
    assert choose_issuer(token, [theirs, mine]).tenant_id == TENANT
    for audiences in (["urn:other", AUDIENCE], ["urn:third"]):
        with pytest.raises(TokenRefused):
            choose_issuer(read_token(sign("ES256", claims(aud=audiences))), [theirs, mine])


def test_keys_of_one_tenant_prove_nothing_about_another():
    theirs = ECKey.generate_key("P-256")
    with pytest.raises(TokenRefused):
        bearer(sign("ES256", claims(), theirs), "ES256")


def test_an_api_key_is_no_token():
    assert looks_like_token(GOOD)
    assert not looks_like_token(b"ck_live_" + b"0" * 33)


def test_nothing_of_a_secret_is_shown():
    secret = OctKey.generate_key(256)
    known = issuer("HS256", key_set=msgspec.json.encode({"keys": [secret.as_dict()]}))
    told = repr(known) + repr(read_key_set(known.key_set, ("HS256",)))
    assert str(secret.as_dict()["k"]) not in told
