"""Who may sign tokens for a tenant, and setting it up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import msgspec

from clarion.kernel.errors import Invalid
from clarion.kernel.text import check_storable
from clarion.tenancy.key_sets import Algorithm, read_key_set
from clarion.tenancy.model import Environment

MAX_ISSUERS: Final = 20
MAX_URL: Final = 2000


class TokenIssuer(msgspec.Struct, frozen=True):
    """Who may sign tokens for a tenant. `issuer` and `audience` are what the tokens' `iss` and `aud` must say.

    `scopes`: the most that its tokens may do. `key_set`: its keys (JWKS), b"" where they are read from `jwks_url`.
    `role_claim`: the claim that names a role; `member_claim`: the one that names a member by her e-mail. "": none does.
    """

    tenant_id: bytes
    name: str
    issuer: str
    audience: str
    environment: Environment
    algorithms: tuple[Algorithm, ...]
    scopes: tuple[str, ...]
    jwks_url: str = ""
    key_set: bytes = b""
    role_claim: str = ""
    member_claim: str = ""

    def __repr__(self) -> str:
        """Without the keys, which may be secrets."""
        return f"TokenIssuer({self.name!r}, {self.issuer!r})"


def check_issuer(issuer: TokenIssuer, scopes: Collection[str]) -> None:
    """Pass over what can be set up; the keys of a `jwks_url` are for the caller to try. `scopes`: all that there are.

    Raises Invalid with the path of what is wrong.
    """
    for path in ("name", "issuer", "audience", "role_claim", "member_claim"):
        check_storable(getattr(issuer, path), path)
    unknown = sorted(set(issuer.scopes) - set(scopes))
    if unknown:
        raise Invalid(f"is no scope: {unknown[0]}; there are {', '.join(sorted(scopes))}", "scopes")
    if len({algorithm.startswith("HS") for algorithm in issuer.algorithms}) > 1:
        raise Invalid(
            "shared secrets (HS) and public keys do not go together: set up two issuers", "algorithms"
        )
    if bool(issuer.jwks_url) == bool(issuer.key_set):
        raise Invalid("give either `keys` or `jwks_url`", "keys")
    if issuer.key_set:
        read_key_set(issuer.key_set, issuer.algorithms)
    elif issuer.algorithms[0].startswith("HS"):
        raise Invalid("shared secrets are not published: give them as `keys`", "jwks_url")
    else:
        check_url(issuer.jwks_url, "jwks_url")


def check_url(url: str, path: str) -> None:
    """Pass over an absolute http or https URL that names a host and no user. Raises Invalid."""
    check_storable(url, path)
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise Invalid("is no URL", path) from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    if parts.scheme not in {"http", "https"} or not is_whole or not is_plain or len(url) > MAX_URL:
        raise Invalid("is an https:// URL of a host, without user or password, in ASCII", path)
