"""Tenants' settings, kept in memory and compared with the store's version at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from clarion.kernel.errors import Transient
from clarion.tenancy.config import TenantConfig

CHECK_EVERY_S: Final = 1.0
"""How long another process's write may go unseen. The process that wrote forgets at once."""


class ConfigStore(Protocol):
    """Where tenants' settings are."""

    async def load_config(self, tenant_id: bytes) -> TenantConfig:
        """All settings of a tenant. Raises NotFound, Transient."""
        ...

    async def config_version(self, tenant_id: bytes) -> int:
        """The version that `load_config` would have. Raises NotFound, Transient."""
        ...


class _Entry(msgspec.Struct):
    config: TenantConfig
    checked_s: float


class CachedConfigs:
    """`ConfigSource` and `Policies`. `monotonic`: seconds of a clock that never goes backwards.

    While the store is away the last known settings hold: what they allow is checked against consent in Postgres anyway.
    """

    def __init__(self, store: ConfigStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._entries: dict[bytes, _Entry] = {}
        self._locks: dict[bytes, asyncio.Lock] = {}

    async def get(self, tenant_id: bytes, at_least: int = 0) -> TenantConfig:
        """The tenant's settings, of version `at_least` where the store can be read.

        Raises NotFound; Transient where nothing is known and the store is away.
        """
        entry = self._entries.get(tenant_id)
        if entry is not None and self._holds(entry, at_least):
            return entry.config
        async with self._locks.setdefault(tenant_id, asyncio.Lock()):
            return await self._refresh(tenant_id, at_least)

    def forget(self, tenant_id: bytes) -> None:
        """Read the tenant's settings anew at the next call: they were just written."""
        self._entries.pop(tenant_id, None)

    def _holds(self, entry: _Entry, at_least: int) -> bool:
        return entry.config.version >= at_least and self._monotonic() - entry.checked_s < CHECK_EVERY_S

    async def _refresh(self, tenant_id: bytes, at_least: int) -> TenantConfig:
        entry = self._entries.get(tenant_id)
        now_s = self._monotonic()
        if entry is None:
            entry = self._entries[tenant_id] = _Entry(await self._store.load_config(tenant_id), now_s)
            return entry.config
        if self._holds(entry, at_least):
            return entry.config
        try:
            if await self._store.config_version(tenant_id) != entry.config.version:
                entry.config = await self._store.load_config(tenant_id)
        except Transient:
            entry.checked_s = now_s
            return entry.config
        entry.checked_s = now_s
        return entry.config
