"""Tenants' secrets: each tenant has keys of its own, and the key service wraps them.

    secret ── sealed with ──▶ the tenant's newest key ── wrapped by ──▶ the key service (the master key, or a vendor's)

Changing the master key rewraps the tenants' keys and touches no secret. Changing a tenant's key seals its secrets
again. Destroying a tenant's keys ends its secrets wherever copies of them are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, Protocol

import msgspec

from clarion.kernel.errors import Conflict

RETIRE_AFTER_H: Final = 25
"""For so long a replaced key opens what it sealed: idempotent answers live for 24 hours, caches for a minute."""

PAGE: Final = 500


class SecretPlace(msgspec.Struct, frozen=True):
    """Where a secret is kept. What was sealed for one place opens in no other: no tenant's, column's or row's."""

    tenant_id: bytes
    table: str
    column: str
    row: str

    def context(self) -> bytes:
        """The place as bytes. Every part comes after its length, so that no two places have the same."""
        parts = (self.tenant_id, self.table.encode(), self.column.encode(), self.row.encode())
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class TenantKey(msgspec.Struct, frozen=True):
    """A tenant's key as it is kept. Numbers rise; `wrapped` is empty where it was destroyed."""

    tenant_id: bytes
    number: int
    wrapped: bytes


class SealedValue(msgspec.Struct, frozen=True):
    """A sealed secret, and where it stands."""

    place: SecretPlace
    sealed: bytes


class Vault(Protocol):
    """Seals tenants' secrets."""

    async def seal(self, place: SecretPlace, clear: bytes) -> bytes:
        """`clear`, sealed for this place with the tenant's newest key, which is made if there is none.

        Raises Permanent where the tenant's keys were destroyed, Transient where they cannot be had.
        """
        ...

    async def unseal(self, place: SecretPlace, sealed: bytes) -> bytes:
        """Inverse of `seal`. Raises Permanent: another place, another key, damage, or destroyed keys; Transient."""
        ...

    async def renew(self, tenant_id: bytes) -> int:
        """Give a tenant a new key, which seals from now on; its number. Older keys still open. Raises as `seal`."""
        ...

    def number_of(self, sealed: bytes) -> int:
        """The number of the tenant's key that sealed this; 0: it is of an earlier release, which had none."""
        ...

    async def destroy(self, tenant_id: bytes) -> None:
        """Destroy all keys of a tenant, for ever: it gets no new one. Other processes forget them within a minute."""
        ...


class TenantKeys(Protocol):
    """Tenants' wrapped keys, in the database of keys."""

    async def fetch(self, tenant_id: bytes) -> list[TenantKey]:
        """All of a tenant, the newest first."""
        ...

    async def add(self, key: TenantKey) -> bool:
        """Keep a key. False, and no change, where the tenant has one of this number."""
        ...

    async def replace(self, key: TenantKey, wrapped: bytes) -> bool:
        """Keep a key wrapped in another way. False where it is no longer kept as `key` says."""
        ...

    async def page(self, after: bytes, limit: int) -> list[TenantKey]:
        """All keys of the next `limit` tenants by rising id, without destroyed ones; an empty list is the end."""
        ...

    async def retire(self, tenant_id: bytes, hours: int) -> int:
        """Remove keys that were replaced so long ago; how many."""
        ...

    async def destroy(self, tenant_id: bytes) -> None:
        """Remove what is wrapped, and note that the tenant gets no key again."""
        ...


class Kms(Protocol):
    """A key service: wraps keys with one that it does not give away."""

    @property
    def number(self) -> bytes:
        """4 bytes that name the key which wraps now. What is wrapped begins with the number of its own."""
        ...

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """A key as it may be stored, bound to `context`. Raises Transient where the service does not answer."""
        ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Inverse of `wrap`. Raises Permanent: another key or context, or damage; Transient as `wrap`."""
        ...


class SealedRows(Protocol):
    """The sealed columns of the regional database."""

    async def list_values(self, tenant_id: bytes) -> list[SealedValue]:
        """All that is sealed for a tenant and kept: no idempotent answers, which end by themselves."""
        ...

    async def replace(self, value: SealedValue, sealed: bytes) -> bool:
        """Write a value sealed anew. False where something else stands there meanwhile."""
        ...


def key_context(tenant_id: bytes, number: int) -> bytes:
    """What a tenant's key is bound to while it is wrapped."""
    return b"tenant-key" + tenant_id + number.to_bytes(4, "big")


async def rewrap_tenants(keys: TenantKeys, kms: Kms) -> AsyncGenerator[int]:
    """Wrap all tenants' keys with the service's present key; yields how many were, page by page.

    Stopped anywhere it is gone on with by another run: what is done shows by its number. Raises as `Kms`.
    """
    after = b""
    while page := await keys.page(after, PAGE):
        after = page[-1].tenant_id
        stale = [key for key in page if not key.wrapped.startswith(kms.number)]
        for key in stale:
            context = key_context(key.tenant_id, key.number)
            await keys.replace(key, await kms.wrap(await kms.unwrap(key.wrapped, context), context))
        yield len(stale)


async def renew_format(tenants: Sequence[bytes], rows: SealedRows, vault: Vault) -> AsyncGenerator[int]:
    """Seal with their tenants' keys what earlier releases sealed without; yields how many secrets, tenant by tenant.

    Raises Permanent where a secret does not open.
    """
    for tenant_id in tenants:
        stale = [value for value in await rows.list_values(tenant_id) if not vault.number_of(value.sealed)]
        await _reseal(stale, rows, vault)
        yield len(stale)


class Resealed(msgspec.Struct, frozen=True):
    """What changing a tenant's key came to: the key's number, secrets sealed anew, old keys removed."""

    number: int
    secrets: int
    retired: int


async def change_key(tenant_id: bytes, keys: TenantKeys, rows: SealedRows, vault: Vault) -> Resealed:
    """Give a tenant a new key, seal its secrets with it, and remove keys that were replaced long ago.

    Processes seal with the key before for up to a minute: the next change finds that, before it removes that key.
    Raises Permanent where a secret does not open, and removes no key then.
    """
    number = await vault.renew(tenant_id)
    secrets = await reseal(tenant_id, number, rows, vault)
    return Resealed(number, secrets, await keys.retire(tenant_id, RETIRE_AFTER_H))


async def reseal(tenant_id: bytes, number: int, rows: SealedRows, vault: Vault) -> int:
    """Seal with a tenant's newest key, of this number, what was sealed otherwise; how many secrets that were."""
    stale = [value for value in await rows.list_values(tenant_id) if vault.number_of(value.sealed) != number]
    await _reseal(stale, rows, vault)
    return len(stale)


async def _reseal(values: Sequence[SealedValue], rows: SealedRows, vault: Vault) -> None:
    for value in values:
        clear = await vault.unseal(value.place, value.sealed)
        if not await rows.replace(value, await vault.seal(value.place, clear)):
            # Written by its tenant meanwhile: with which key, the next look says.
            again = await rows.list_values(value.place.tenant_id)
            if any(other == value for other in again):
                raise Conflict(f"{value.place.table} {value.place.row} cannot be replaced")
