"""What tenancy needs from the outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.issuers import TokenIssuer
from clarion.tenancy.model import Category, Principal, Role, Tenant, TenantEntry


class TenantDirectory(Protocol):
    """The names of tenants, unique in the world (the global store)."""

    async def register(self, entry: TenantEntry) -> TenantEntry:
        """Take the entry's name. Where somebody has it, nothing changes and the entry of its holder comes back."""
        ...


class TenantSeed(msgspec.Struct, frozen=True):
    """All that a tenant has on its first day in a region."""

    tenant: Tenant
    categories: Sequence[Category]
    providers: Sequence[ProviderConfig]


class TenantStore(Protocol):
    """The tenants of a region."""

    async def create(self, seed: TenantSeed) -> bool:
        """Write a tenant with all that it starts with, in one transaction. False, and no change, if it is there."""
        ...


class StoredKey(msgspec.Struct, frozen=True):
    """An API key as the store keeps it: its hash, never its text. `expires_ms` is UTC ms; None: never.

    With `role` it may what the role may, and `scopes` say nothing. With `member_id` no more than she may.
    """

    environment: str
    key_hash: bytes
    last_four: str
    name: str
    scopes: frozenset[str]
    expires_ms: int | None
    role: Role | None = None
    member_id: str | None = None


class KeyRecord(msgspec.Struct, frozen=True):
    """An API key as its tenant sees it. Times are UTC ms; None: not so."""

    key_id: str
    name: str
    environment: str
    last_four: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    role: Role | None = None
    member_id: str | None = None


class KeyFinder(Protocol):
    """Who holds which key, by the store's clock."""

    async def find_key(self, key_hash: bytes) -> Principal | None:
        """Who holds the key of this hash; None where it is unknown, expired or revoked."""
        ...


class ApiKeyStore(KeyFinder, Protocol):
    """The API keys of a region's tenants."""

    async def create_key(self, tenant_id: bytes, key: StoredKey, *, max_live: int) -> str:
        """Keep a key; its id. Raises Conflict where `max_live` keys of its name and environment are live already.

        Two calls at once cannot pass the limit together.
        """
        ...

    async def list_keys(self, tenant_id: bytes) -> list[KeyRecord]:
        """Every key that the tenant ever had, newest first."""
        ...

    async def revoke_key(self, tenant_id: bytes, key_id: str) -> bool:
        """End a key now. False where the tenant has no such key; revoking twice is no error."""
        ...


class TokenIssuerFinder(Protocol):
    """Whose tokens are believed, before any tenant is known."""

    async def find_issuers(self, issuer: str) -> list[TokenIssuer]:
        """Everything that is set up under an `iss`, of whatever tenant, with unsealed keys. Raises Transient."""
        ...


class TokenIssuerStore(TokenIssuerFinder, Protocol):
    """The token issuers of a region's tenants."""

    async def put_issuer(self, issuer: TokenIssuer, *, max_issuers: int) -> bool:
        """Make or replace an issuer; True where it is new.

        Raises Conflict where the tenant has `max_issuers` others, or somebody has its `iss` and `aud` already.
        """
        ...

    async def list_issuers(self, tenant_id: bytes) -> list[TokenIssuer]:
        """The tenant's issuers, by name."""
        ...

    async def delete_issuer(self, tenant_id: bytes, name: str) -> bool:
        """Forget an issuer. False where there was none."""
        ...


class KeyFetcher(Protocol):
    """Reads key sets from where their issuers publish them."""

    async def fetch(self, url: str) -> bytes:
        """The document at `url`. Raises Refused where it may not be asked, Transient where it cannot be had."""
        ...
