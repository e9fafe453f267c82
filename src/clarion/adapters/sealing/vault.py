"""The vault of tenants' secrets: AES-256-GCM with the tenant's own key, which is kept in memory for a minute.

A sealed secret is a format byte, the number of the tenant's key, and what `aead.seal` gives. Those of earlier releases
begin with another byte and were sealed with one key for all tenants: they open until they are sealed anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from clarion.adapters.sealing import aead
from clarion.adapters.sealing.master_key import KEY_BYTES, MasterKey
from clarion.kernel.errors import Permanent
from clarion.tenancy.secrets import Kms, SecretPlace, TenantKey, TenantKeys, key_context

FORMAT: Final = b"\x02"
NUMBER_BYTES: Final = 4
CACHE_TTL_S: Final = 60.0
"""No process uses a tenant's keys for longer than this after they were destroyed."""

CACHED_TENANTS: Final = 10_000

_HEADER: Final = len(FORMAT) + NUMBER_BYTES


class _Keys(msgspec.Struct, frozen=True):
    """A tenant's keys in clear, by number. `newest` 0: it has none yet."""

    until_s: float
    newest: int
    by_number: dict[int, bytes]

    def __repr__(self) -> str:
        return f"_Keys(newest={self.newest})"


class TenantVault:
    """`tenancy.secrets.Vault`. `masters`: those that may have sealed what earlier releases left."""

    def __init__(
        self, keys: TenantKeys, kms: Kms, masters: Sequence[MasterKey], monotonic: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._kms = kms
        self._before = [master.derive("tenant-secrets") for master in masters]
        self._monotonic = monotonic
        self._cache: dict[bytes, _Keys] = {}

    async def seal(self, place: SecretPlace, clear: bytes) -> bytes:
        """`clear`, for this place; see `Vault.seal`."""
        keys = await self._open(place.tenant_id)
        if not keys.newest:
            await self._make(place.tenant_id, 1)
            keys = await self._open(place.tenant_id, fresh=True)
        header = _header(keys.newest)
        return header + aead.seal(keys.by_number[keys.newest], clear, header + place.context())

    async def unseal(self, place: SecretPlace, sealed: bytes) -> bytes:
        """Inverse of `seal`; see `Vault.unseal`."""
        if sealed[:1] == aead.FORMAT:
            return self._unseal_legacy(place, sealed)
        if sealed[:1] != FORMAT or len(sealed) <= _HEADER:
            raise Permanent("what is sealed has an unknown format")
        number = self.number_of(sealed)
        key = (await self._open(place.tenant_id)).by_number.get(number)
        if key is None:  # of another process, a moment ago
            key = (await self._open(place.tenant_id, fresh=True)).by_number.get(number)
        if key is None:
            raise Permanent(f"the tenant has no key {number}")
        return aead.unseal(key, sealed[_HEADER:], sealed[:_HEADER] + place.context())

    async def renew(self, tenant_id: bytes) -> int:
        """A new key for a tenant; see `Vault.renew`."""
        number = (await self._open(tenant_id, fresh=True)).newest + 1
        await self._make(tenant_id, number)
        return (await self._open(tenant_id, fresh=True)).newest

    def number_of(self, sealed: bytes) -> int:
        """Which of its tenant's keys sealed this; see `Vault.number_of`."""
        return int.from_bytes(sealed[len(FORMAT) : _HEADER], "big") if sealed[:1] == FORMAT else 0

    async def destroy(self, tenant_id: bytes) -> None:
        """End a tenant's secrets; see `Vault.destroy`."""
        self._cache.pop(tenant_id, None)
        await self._keys.destroy(tenant_id)

    async def _make(self, tenant_id: bytes, number: int) -> None:
        """Keep a new key, unless another process was first: then its key counts."""
        wrapped = await self._kms.wrap(os.urandom(KEY_BYTES), key_context(tenant_id, number))
        await self._keys.add(TenantKey(tenant_id, number, wrapped))

    async def _open(self, tenant_id: bytes, *, fresh: bool = False) -> _Keys:
        known = self._cache.get(tenant_id)
        if known is not None and not fresh and self._monotonic() < known.until_s:
            return known
        stored = await self._keys.fetch(tenant_id)
        if any(not key.wrapped for key in stored):
            self._cache.pop(tenant_id, None)
            raise Permanent("the tenant's keys were destroyed")
        by_number = {
            key.number: await self._kms.unwrap(key.wrapped, key_context(tenant_id, key.number))
            for key in stored
        }
        found = _Keys(self._monotonic() + CACHE_TTL_S, max(by_number, default=0), by_number)
        self._remember(tenant_id, found)
        return found

    def _remember(self, tenant_id: bytes, keys: _Keys) -> None:
        self._cache.pop(tenant_id, None)
        while len(self._cache) >= CACHED_TENANTS:
            del self._cache[next(iter(self._cache))]
        self._cache[tenant_id] = keys

    def _unseal_legacy(self, place: SecretPlace, sealed: bytes) -> bytes:
        """What an earlier release sealed: with one key for all tenants, bound to the tenant and a name."""
        context = place.tenant_id + _legacy_name(place)
        *others, last = self._before
        for key in others:
            with suppress(Permanent):
                return aead.unseal(key, sealed, context)
        return aead.unseal(last, sealed, context)


def _legacy_name(place: SecretPlace) -> bytes:
    match place.table:
        case "token_issuers":
            return b"token-issuer\x00" + place.row.encode()
        case "idempotency_keys":
            return b"idempotent-answer"
        case _:
            return place.row.encode()


def _header(number: int) -> bytes:
    return FORMAT + number.to_bytes(NUMBER_BYTES, "big")
