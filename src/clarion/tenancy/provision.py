"""Making a tenant: its name everywhere, then its settings, categories and sandbox in its home region."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.contracts.channels import CHANNELS
from clarion.kernel.errors import Conflict
from clarion.kernel.text import check_storable
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, Tenant, TenantEntry
from clarion.tenancy.ports import TenantDirectory, TenantSeed, TenantStore

SANDBOX: Final = "sandbox"
"""The provider kind that records instead of sending."""


class NewTenant(msgspec.Struct, frozen=True):
    """A tenant to be made. `timezone` serves users whose own is unknown."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    home_region: str
    timezone: str = "UTC"
    country: str = ""


class Provisioned(msgspec.Struct, frozen=True):
    """A tenant that is there. `created`: by this call."""

    tenant_id: bytes
    created: bool


async def create_tenant(
    new: NewTenant, tenant_id: bytes, directory: TenantDirectory, store: TenantStore
) -> Provisioned:
    """Make the tenant, or complete one that a crash left half made; `tenant_id` is used where the name is free.

    The name is taken first: a tenant that exists in a region has a name that is its own in the world. Calling again
    changes nothing. Raises Conflict where the name belongs to a tenant of another region.
    """
    check_storable(new.name, "name")
    entry = await directory.register(TenantEntry(tenant_id, new.name, new.home_region))
    if entry.home_region != new.home_region:
        detail = f"the tenant {new.name} lives in {entry.home_region}"
        raise Conflict(detail)
    tenant = Tenant(entry.tenant_id, new.name, timezone=new.timezone, country=new.country)
    seed = TenantSeed(tenant, DEFAULT_CATEGORIES, sandbox_providers(entry.tenant_id))
    return Provisioned(entry.tenant_id, created=await store.create(seed))


def sandbox_providers(tenant_id: bytes) -> list[ProviderConfig]:
    """One provider a channel that records instead of sending, and is named so that every answer says it."""
    return [sandbox_of(tenant_id, channel, name=f"{SANDBOX}-{channel}") for channel in CHANNELS]


def sandbox_of(tenant_id: bytes, channel: str, *, name: str, version: int = 1) -> ProviderConfig:
    """A provider that records instead of sending."""
    return ProviderConfig(name, tenant_id, SANDBOX, channel, settings={}, credentials={}, version=version)
