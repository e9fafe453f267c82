"""What a tenant set up, as every stage reads it: one value, replaced as a whole when its version moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from clarion.tenancy.model import Category, Tenant
from clarion.tenancy.routing import RoutingPolicy
from clarion.tenancy.spending import NO_QUOTA, UNLIMITED, Prices, Quota, Spending


class ProviderConfig(msgspec.Struct, frozen=True):
    """A tenant's account with a provider. `credentials` are already unsealed; `version` changes with every write.

    `cost_micros`: what it pays for a message (of SMS: for a segment) where `prices` says nothing else; None: the list
    price of its kind. `prices` by rising time. `regions`: those from which it may be used; none: all.
    """

    name: str
    tenant_id: bytes
    kind: str
    channel: str
    settings: dict[str, Any]
    credentials: dict[str, str]
    cost_micros: int | None = None
    weight: int = 1
    enabled: bool = True
    version: int = 1
    prices: tuple[Prices, ...] = ()
    quota: Quota = NO_QUOTA
    regions: tuple[str, ...] = ()


class TemplateInfo(msgspec.Struct, frozen=True):
    """What an accept must know of a template's live version. `channels`: mask of those it has parts for.

    `has_schema`: the version says what `data` must be.
    """

    name: str
    version: int
    category: str
    channels: int
    has_schema: bool = False


class TenantConfig(msgspec.Struct, frozen=True):
    """All that a tenant set, as of `version` (moves with every write of a category, template or provider).

    `routing`: the policies by channel; a channel without one has the default.
    """

    tenant: Tenant
    version: int
    categories: dict[str, Category]
    templates: dict[str, TemplateInfo]
    providers: list[ProviderConfig]
    spending: Spending = UNLIMITED
    routing: Mapping[str, RoutingPolicy] = {}
