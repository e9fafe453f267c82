"""API keys: `ck_live_` or `ck_test_`, 160 random bits in base62, and a checksum.

The checksum lets a mistyped or made-up key be refused without asking a store, and secret scanners be sure of a find.
Only the SHA-256 of a key is kept, without pepper: 160 random bits cannot be guessed from their hash, and a pepper
would tie every key to the life of the master key.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.kernel.errors import Invalid, Refused
from clarion.kernel.text import check_storable
from clarion.tenancy.model import Environment, Principal, Role
from clarion.tenancy.ports import ApiKeyStore, KeyFinder, StoredKey

KEY_BYTES: Final = 20
"""Random bytes of a key: 160 bits."""

MAX_LIVE: Final = 2
"""Live keys of one name and environment: the old and the new one, while a deployment moves from one to the other."""

EVERYTHING: Final = "*"
"""The scope that includes all others."""

RESOURCES: Final = (
    "analytics",
    "audit",
    "broadcasts",
    "categories",
    "compliance",
    "events",
    "journeys",
    "keys",
    "links",
    "members",
    "ml",
    "notifications",
    "personalization",
    "providers",
    "segments",
    "templates",
    "tenant",
    "users",
)
SCOPES: Final = frozenset({EVERYTHING} | {f"{name}:{act}" for name in RESOURCES for act in ("read", "write")})

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_BODY: Final = 27  # 62**27 > 2**160
_CHECK: Final = 6  # 62**6 > 2**32
_SHAPE: Final = re.compile(rf"ck_(live|test)_[0-9A-Za-z]{{{_BODY + _CHECK}}}")


class MintedKey(msgspec.Struct, frozen=True):
    """A new key. `text` is shown once, to the person who asked; it has no place in logs."""

    text: str
    environment: Environment
    key_hash: bytes
    last_four: str
    key_id: str = ""

    def __repr__(self) -> str:
        """Without the key itself: this is what ends up in tracebacks and logs."""
        return f"MintedKey(ck_{self.environment}_…{self.last_four})"


class ParsedKey(msgspec.Struct, frozen=True):
    """A text that is a well-formed key; whether it is anybody's, the store knows by the hash."""

    environment: Environment
    key_hash: bytes


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asks of a new key. `expires_ms` is UTC ms by the store's clock; None: it does not expire.

    `role` takes the place of `scopes`. `member_id`: whose it is; it never may more than she.
    """

    name: Annotated[str, Meta(max_length=200)] = ""
    environment: Environment = "live"
    scopes: list[str] = msgspec.field(default_factory=lambda: [EVERYTHING])
    expires_ms: int | None = None
    role: Role | None = None
    member_id: str | None = None


def mint_key(environment: Environment, chance: bytes) -> MintedKey:
    """The key that these 20 random bytes make. Raises ValueError on another number of bytes."""
    if len(chance) != KEY_BYTES:
        msg = f"a key is made of {KEY_BYTES} random bytes, not {len(chance)}"
        raise ValueError(msg)
    text = f"ck_{environment}_{_base62(int.from_bytes(chance, 'big'), _BODY)}"
    text += _base62(zlib.crc32(text.encode()), _CHECK)
    return MintedKey(text, environment, _hash(text), text[-4:])


def parse_key(text: str) -> ParsedKey | None:
    """The key that `text` is, or None where it is none: its shape, its checksum or its range is wrong."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    body, check = text[:-_CHECK], text[-_CHECK:]
    if check != _base62(zlib.crc32(body.encode()), _CHECK) or _number(body[-_BODY:]) >> (8 * KEY_BYTES):
        return None
    return ParsedKey("live" if shape[1] == "live" else "test", _hash(text))


async def authenticate(text: str, store: KeyFinder) -> Principal | None:
    """Who presents `text` as a key; None for whatever is no live key. The store is asked only about well-formed ones.

    It looks for the hash, never for the key: the time of a look-up tells nothing about a key that one does not have.
    """
    parsed = parse_key(text)
    return await store.find_key(parsed.key_hash) if parsed else None


async def create_key(
    tenant_id: bytes, request: KeyRequest, store: ApiKeyStore, *, chance: bytes, now_ms: int
) -> MintedKey:
    """Make a key of 20 random bytes and keep its hash.

    Raises Invalid on an unknown scope or a past expiry, Conflict where two keys of the name are live: revoke one.
    """
    unknown = sorted(set(request.scopes) - SCOPES)
    if unknown or not request.scopes:
        known = ", ".join(sorted(SCOPES))
        detail = (
            f"is no scope: {unknown[0]}; there are {known}" if unknown else f"is empty; there are {known}"
        )
        raise Invalid(detail, "scopes")
    if request.expires_ms is not None and request.expires_ms <= now_ms:
        detail = "lies in the past: leave it out, or give a later time"
        raise Invalid(detail, "expires_at")
    check_storable(request.name, "name")
    minted = mint_key(request.environment, chance)
    stored = StoredKey(
        minted.environment,
        minted.key_hash,
        minted.last_four,
        request.name,
        frozenset(request.scopes),
        request.expires_ms,
        request.role,
        request.member_id,
    )
    key_id = await store.create_key(tenant_id, stored, max_live=MAX_LIVE)
    return msgspec.structs.replace(minted, key_id=key_id)


def require_scope(principal: Principal, scope: str) -> None:
    """Pass where the principal's key has `scope` or `*`. Raises Refused (`scope`) otherwise."""
    if scope not in principal.scopes and EVERYTHING not in principal.scopes:
        detail = f"this key lacks the scope {scope}"
        raise Refused(detail, "scope")


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _base62(number: int, width: int) -> str:
    letters: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))


def _number(text: str) -> int:
    number = 0
    for letter in text:
        number = number * len(_ALPHABET) + _VALUE[letter]
    return number
