"""Tokens (JWT, RFC 7519) of tenants' own identity providers, checked as RFC 8725 asks.

Which issuer a token claims to be from decides only whose keys it is held against. The tenant, the environment and the
most that it may do come from the issuer as its tenant set it up; the token's scopes can only take away from that.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, cast

import msgspec
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from msgspec import Meta

from clarion.kernel.errors import Refused
from clarion.tenancy.api_keys import EVERYTHING, SCOPES
from clarion.tenancy.issuers import TokenIssuer
from clarion.tenancy.key_sets import KeySet, VerifyingKey, canonical
from clarion.tenancy.model import Principal
from clarion.tenancy.roles import ROLES, narrow

MAX_TOKEN_BYTES: Final = 8192
MAX_AUDIENCES: Final = 20
LEEWAY_S: Final = 30
"""How far the issuer's clock may be off from the store's."""

MAX_SUBJECT: Final = 200
"""Characters that are kept of whom a token speaks for."""

LAST_S: Final = 253_402_300_799
"""The end of the year 9999: a token that never expires is a mistake."""

KEY_ID_PREFIX: Final = "token:"
"""Of `Principal.key_id`, before the issuer's name, for those who come with a token."""

_PART: Final = rb"[A-Za-z0-9_-]+"
_SHAPE: Final = re.compile(rb"(%s)\.(%s)\.(%s)" % (_PART, _PART, _PART))


class TokenRefused(Refused):
    """A token that nobody should believe. `detail` tells why, without saying what would be believed."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, "token")


class _Header(msgspec.Struct):
    alg: str
    kid: Annotated[str, Meta(max_length=500)] = ""
    crit: msgspec.Raw | None = None
    b64: bool = True


class _Claims(msgspec.Struct):
    iss: Annotated[str, Meta(min_length=1, max_length=500)]
    aud: str | list[str]
    exp: Annotated[float, Meta(ge=0, le=LAST_S)]
    nbf: float = -math.inf
    iat: float = -math.inf
    scope: Any = None
    scopes: Any = None


class Token(msgspec.Struct, frozen=True):
    """A token as it claims to be: nothing of it is true before `believe`."""

    issuer: str
    audiences: tuple[str, ...]
    algorithm: str
    kid: str
    signed: bytes
    signature: bytes
    claims: _Claims


_header: Final = msgspec.json.Decoder(_Header)
_claims: Final = msgspec.json.Decoder(_Claims)


def looks_like_token(text: bytes) -> bool:
    """Whether a credential is meant to be a token, whatever is wrong with it."""
    return text.count(b".") == 2  # noqa: PLR2004  three parts


def read_token(text: bytes) -> Token:
    """The parts of a token. Raises TokenRefused where it is none, or asks for what is not done here."""
    if len(text) > MAX_TOKEN_BYTES:
        raise TokenRefused(f"the token has more than {MAX_TOKEN_BYTES} bytes")
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise TokenRefused("the token is not three parts in base64url")
    try:
        header = _header.decode(_unpack(shape[1]))
        claims = _claims.decode(_unpack(shape[2]))
        signature = _unpack(shape[3])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
        raise TokenRefused("the token's header or claims are not as they must be: iss, aud, exp") from None
    if header.crit is not None or not header.b64:
        raise TokenRefused("the token asks for extensions that are not understood here")
    if "\0" in claims.iss:
        raise TokenRefused("the token's issuer is a name that nobody can have")
    audiences = (claims.aud,) if isinstance(claims.aud, str) else tuple(claims.aud)
    if not 1 <= len(audiences) <= MAX_AUDIENCES:
        raise TokenRefused(f"the token has {len(audiences)} audiences, where 1 to {MAX_AUDIENCES} are taken")
    signed = text[: shape.end(2)]
    return Token(claims.iss, audiences, header.alg, header.kid, signed, signature, claims)


def choose_issuer(token: Token, known: Sequence[TokenIssuer]) -> TokenIssuer:
    """Whose keys the token is held against, of those set up under its issuer. Raises TokenRefused.

    Issuer and audience name one tenant together. A token made out to the audiences of two of them is refused: which of
    them it speaks for would be anybody's guess.
    """
    meant = [one for one in known if one.issuer == token.issuer and one.audience in token.audiences]
    if len(meant) != 1:
        raise TokenRefused("nobody has set up this issuer for this audience")
    return meant[0]


def believe(token: Token, issuer: TokenIssuer, keys: KeySet, now_s: float) -> Principal:
    """Who the bearer is. `now_s`: seconds since 1970 by the store's clock. Raises TokenRefused."""
    key = keys.find(token.kid)
    if key is None:
        raise TokenRefused("the token names no key of its issuer")
    if not _is_signed(token, key):
        raise TokenRefused("the token's signature is not its issuer's")
    claims = token.claims
    if not now_s < claims.exp + LEEWAY_S:
        raise TokenRefused("the token has expired")
    if not max(claims.nbf, claims.iat) <= now_s + LEEWAY_S:
        raise TokenRefused("the token is not valid yet")
    if not (issuer.issuer == token.issuer and issuer.audience in token.audiences):
        raise TokenRefused("the token was made out by or to somebody else")
    told = _all_claims(token)
    subject = told.get("sub")
    return Principal(
        issuer.tenant_id,
        KEY_ID_PREFIX + issuer.name,
        issuer.environment,
        _granted(claims, told, issuer),
        subject=subject[:MAX_SUBJECT] if isinstance(subject, str) else "",
    )


def member_named(token: Token, issuer: TokenIssuer) -> str:
    """The e-mail, in lower case, of the member that a believed token speaks for. Raises TokenRefused.

    An identity provider that says that it has not verified the address is not believed about it.
    """
    told = _all_claims(token)
    email = told.get(issuer.member_claim)
    if not isinstance(email, str) or told.get("email_verified", True) is not True:
        raise TokenRefused("the token names no member")
    return email.lower()


def ends_s(token: Token) -> float:
    """When the token is worth nothing any more, in seconds since 1970."""
    return token.claims.exp + LEEWAY_S


def _is_signed(token: Token, key: VerifyingKey) -> bool:
    if canonical(token.algorithm) != key.algorithm:
        return False
    try:
        return JWSRegistry.algorithms[key.algorithm].verify(token.signed, token.signature, key.key)
    except (JoseError, ValueError):
        return False


def _granted(claims: _Claims, told: Mapping[str, Any], issuer: TokenIssuer) -> frozenset[str]:
    """What the token asks for and its issuer may give: `scope` (words) or `scopes` (a list or words).

    Where a claim names a role or a member, that decides, and scopes, where there are any, only take away.
    """
    allowed = frozenset(issuer.scopes)
    wanted = frozenset(_words(claims.scope) | _words(claims.scopes))
    if issuer.role_claim:
        named = _words(told.get(issuer.role_claim))
        bound = next((scopes for role, scopes in ROLES.items() if role in named), frozenset[str]())
        allowed = narrow(allowed, bound)
    if not wanted and (issuer.role_claim or issuer.member_claim):
        return allowed
    return wanted & (SCOPES if EVERYTHING in allowed else allowed)


def _all_claims(token: Token) -> dict[str, Any]:
    """Every claim of a token, also those that have no meaning here."""
    return msgspec.json.decode(_unpack(token.signed.rpartition(b".")[2]), type=dict[str, Any])


def _words(claim: object) -> set[str]:
    if isinstance(claim, str):
        return set(claim.split())
    items = cast("list[object]", claim) if isinstance(claim, list) else []
    return {item for item in items if isinstance(item, str)}


def _unpack(part: bytes) -> bytes:
    """Base64url without padding, in its one canonical form."""
    raw = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part:
        msg = "there are bits that mean nothing"
        raise ValueError(msg)
    return raw
