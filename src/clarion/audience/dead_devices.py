"""Forgetting devices that a push service no longer knows: their apps are gone, or have other tokens now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clarion.audience.devices import token_hmac
from clarion.audience.ports import DeviceStore, Sealer


class DeadDevice(msgspec.Struct, frozen=True, gc=False):
    """A device's token, and since when it is dead (UTC ms, the store's clock). PII: never logged."""

    tenant_id: bytes
    token: str
    since_ms: int


class Cards(Protocol):
    """Users' cards, as far as they have to go when they are no longer right."""

    async def drop(self, tenant_id: bytes, external_ids: Sequence[str]) -> None:
        """Forget these users' cards. Raises Transient."""
        ...


class DeviceReaper:
    """`delivery.ports.DeadDevices` over the device store."""

    def __init__(self, devices: DeviceStore, sealer: Sealer, cards: Cards) -> None:
        self._devices = devices
        self._sealer = sealer
        self._cards = cards

    async def forget(self, dead: Sequence[DeadDevice]) -> None:
        """Remove the devices that were not registered since they died. Raises Transient."""
        by_tenant: dict[bytes, dict[bytes, int]] = {}
        for device in dead:
            hmac = token_hmac(device.tenant_id, device.token, self._sealer)
            by_tenant.setdefault(device.tenant_id, {})[hmac] = device.since_ms
        for tenant_id, since in by_tenant.items():
            if changed := await self._devices.drop_dead(tenant_id, since):
                await self._cards.drop(tenant_id, changed)
