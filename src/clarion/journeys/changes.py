"""Profile changes that runs ask for, made by the users' way of setting attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clarion.audience.attributes import AttributePorts, set_attributes
from clarion.journeys.outside import AttributeChange


class AttributeChanges:
    """`journeys.outside.ProfileChanges`. Cards say nothing of attributes: none is out of date afterwards."""

    def __init__(self, ports: AttributePorts) -> None:
        self._ports = ports

    async def apply(self, changes: Sequence[AttributeChange]) -> list[str]:
        """Merge attributes into profiles; see `ProfileChanges.apply`."""
        by_tenant: dict[bytes, list[tuple[str, Mapping[str, Any]]]] = {}
        for change in changes:
            by_tenant.setdefault(change.tenant_id, []).append((change.external_id, change.attributes))
        errors: dict[tuple[bytes, str], str] = {}
        for tenant_id, wanted in by_tenant.items():
            found = await set_attributes(tenant_id, wanted, self._ports)
            errors |= {(tenant_id, external_id): error for external_id, error in found.items()}
        return [errors[change.tenant_id, change.external_id] for change in changes]
