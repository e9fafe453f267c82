"""Tokens at the edge: whose they may be, and the keys they are held against, each asked for as seldom as can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from clarion.kernel.clock import Clock
from clarion.kernel.errors import Invalid, Refused, Transient
from clarion.tenancy.issuers import TokenIssuer
from clarion.tenancy.key_sets import Algorithm, KeySet, read_key_set
from clarion.tenancy.members import MemberFinder
from clarion.tenancy.model import Principal
from clarion.tenancy.ports import KeyFetcher, TokenIssuerFinder
from clarion.tenancy.roles import ROLES, narrow
from clarion.tenancy.tokens import (
    Token,
    TokenRefused,
    believe,
    choose_issuer,
    ends_s,
    member_named,
    read_token,
)

TRUSTED_S: Final = 2.0
"""How long what the store said about an issuer is believed, as with keys: a deleted one ends no later."""

FRESH_S: Final = 600.0
"""How long a published key set is used before it is read again."""

RETRY_S: Final = 60.0
"""How soon a key set is read again at the earliest: a token that names an unknown key must not make us a hammer."""

FIRST_RETRY_S: Final = 5.0
"""The same for a set that could never be read."""

KEPT_S: Final = 24 * 3600.0
"""How long the last good set serves while its issuer cannot be reached."""

MAX_KNOWN: Final = 1_000

_Place: TypeAlias = tuple[str, tuple[Algorithm, ...]]


class _Published(msgspec.Struct):
    """A published key set, and when it was had and last tried (monotonic seconds)."""

    keys: KeySet | None = None
    had_s: float = 0.0
    tried_s: float = 0.0
    lock: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)


class PublishedKeys:
    """Key sets that issuers publish. The last good one stays while theirs cannot be had."""

    def __init__(self, fetcher: KeyFetcher, monotonic: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._monotonic = monotonic
        self._known: dict[_Place, _Published] = {}

    async def get(self, issuer: TokenIssuer, kid: str) -> KeySet:
        """The issuer's keys, read anew where they are old or do not have `kid`. Raises Transient, Invalid."""
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        entry = self._known.setdefault((issuer.jwks_url, issuer.algorithms), _Published())
        if self._is_due(entry, kid):
            async with entry.lock:
                if self._is_due(entry, kid):
                    await self._read(issuer, entry)
        now_s = self._monotonic()
        if entry.keys is None or now_s - entry.had_s > KEPT_S:
            raise Transient("the keys of the token's issuer cannot be read at this moment")
        return entry.keys

    async def try_out(self, issuer: TokenIssuer) -> None:
        """Read the issuer's keys now, for whoever sets it up. Raises Invalid with what is wrong."""
        try:
            raw = await self._fetcher.fetch(issuer.jwks_url)
        except (Refused, Transient) as error:
            raise Invalid(f"cannot be read: {error.detail}", "jwks_url") from None
        try:
            keys = read_key_set(raw, issuer.algorithms, lenient=True)
        except Invalid as error:
            raise Invalid(f"what is there: {error.detail}", "jwks_url") from None
        now_s = self._monotonic()
        self._known[issuer.jwks_url, issuer.algorithms] = _Published(keys, now_s, now_s)

    def _is_due(self, entry: _Published, kid: str) -> bool:
        now_s = self._monotonic()
        if entry.keys is None:
            return not entry.tried_s or now_s - entry.tried_s >= FIRST_RETRY_S
        is_wanting = now_s - entry.had_s >= FRESH_S or entry.keys.find(kid) is None
        return is_wanting and now_s - entry.tried_s >= RETRY_S

    async def _read(self, issuer: TokenIssuer, entry: _Published) -> None:
        entry.tried_s = self._monotonic()
        try:
            raw = await self._fetcher.fetch(issuer.jwks_url)
            entry.keys = read_key_set(raw, issuer.algorithms, lenient=True)
        except (Transient, Refused, Invalid):
            return
        entry.had_s = self._monotonic()


class _Known(msgspec.Struct, frozen=True):
    """What the store said about an `iss`, with the keys that are kept there, and until when it is believed."""

    issuers: list[TokenIssuer]
    keys: dict[tuple[bytes, str], KeySet]
    until_s: float


class Verified(msgspec.Struct, frozen=True):
    """Who a token's bearer is, and for how many seconds yet."""

    principal: Principal
    for_s: float


class TokenVerifier:
    """Holds tokens against the issuers that tenants have set up."""

    def __init__(
        self, finder: TokenIssuerFinder, members: MemberFinder, published: PublishedKeys, clock: Clock
    ) -> None:
        self.published = published
        self._members = members
        self._finder = finder
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def verify(self, text: bytes) -> Verified:
        """The bearer of a token. Raises TokenRefused; Transient where its issuer or its keys cannot be looked up."""
        token = read_token(text)
        known = await self._find(token.issuer)
        issuer = choose_issuer(token, known.issuers)
        keys = await self._keys(issuer, token, known)
        now_s = self._clock.now_ms() / 1000
        principal = believe(token, issuer, keys, now_s)
        if issuer.member_claim:
            principal = await self._as_member(principal, member_named(token, issuer))
        return Verified(principal, ends_s(token) - now_s)

    async def _as_member(self, principal: Principal, email: str) -> Principal:
        """Who the bearer is as a member: with no more than her role lets her do. Raises TokenRefused."""
        member = await self._members.find_active(principal.tenant_id, email)
        if member is None:
            raise TokenRefused("the token's bearer is no active member")
        scopes = narrow(principal.scopes, ROLES[member[1]])
        return msgspec.structs.replace(principal, scopes=scopes, member_id=member[0])

    def forget(self) -> None:
        """Ask the store anew about every issuer: one of them was just changed."""
        self._known.clear()

    async def _find(self, issuer: str) -> _Known:
        known = self._known.get(issuer)
        now_s = self._clock.monotonic()
        if known is not None and now_s < known.until_s:
            return known
        found = await self._finder.find_issuers(issuer)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        known = self._known[issuer] = _Known(found, {}, now_s + TRUSTED_S)
        return known

    async def _keys(self, issuer: TokenIssuer, token: Token, known: _Known) -> KeySet:
        if not issuer.key_set:
            return await self.published.get(issuer, token.kid)
        place = (issuer.tenant_id, issuer.name)
        keys = known.keys.get(place)
        if keys is None:
            keys = known.keys[place] = read_key_set(issuer.key_set, issuer.algorithms)
        return keys
