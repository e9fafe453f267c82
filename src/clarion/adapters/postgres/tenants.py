"""The tenants of a region: settings, categories, providers, and all of it as one configuration."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.tenant_keys import place_of
from clarion.contracts.commands import FallbackStep
from clarion.kernel.errors import NotFound, Permanent
from clarion.tenancy.config import ProviderConfig, TemplateInfo, TenantConfig
from clarion.tenancy.model import (
    Ambiguity,
    Arm,
    Caps,
    Category,
    CategoryClass,
    CategoryWords,
    ComplianceSettings,
    Experiment,
    MlSettings,
    QuietHours,
    Tenant,
    TenantEntry,
)
from clarion.tenancy.ports import TenantSeed
from clarion.tenancy.routing import RoutingPolicy
from clarion.tenancy.secrets import Vault
from clarion.tenancy.spending import Prices, Quota, Spending

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

MICROS: Final = 1_000_000

_json = msgspec.json.Encoder()
_window = msgspec.json.Decoder(QuietHours)
_secrets = msgspec.json.Decoder(dict[str, str])


class _CategoryRow(msgspec.Struct, array_like=True):
    name: str
    class_: CategoryClass
    ttl_s: int
    on_ambiguity: Ambiguity
    caps: Caps
    channels: int
    max_channels: int
    tracking: int
    fallback: tuple[FallbackStep, ...]
    words: dict[str, CategoryWords]


class _TemplateRow(msgspec.Struct, array_like=True):
    name: str
    version: int
    category: str
    channels: int
    has_schema: bool


class _Cost(msgspec.Struct):
    default_micros: int | None = None
    prices: tuple[Prices, ...] = ()


class _ProviderRow(msgspec.Struct, array_like=True):
    name: str
    kind: str
    channel: str
    settings: dict[str, Any]
    credentials: str
    cost: _Cost
    weight: int
    enabled: bool
    version: int
    quota: Quota
    regions: tuple[str, ...]


_categories = msgspec.json.Decoder(list[_CategoryRow])
_templates = msgspec.json.Decoder(list[_TemplateRow])
_providers = msgspec.json.Decoder(list[_ProviderRow])
_spending = msgspec.json.Decoder(Spending)
_routing = msgspec.json.Decoder(dict[str, RoutingPolicy])
_compliance = msgspec.json.Decoder(ComplianceSettings)
_ml = msgspec.json.Decoder(MlSettings)
_arms = msgspec.json.Decoder(tuple[Arm, ...])


class PostgresTenants:
    """`tenancy.ports.TenantStore` and `orchestration.configs.ConfigStore`. The vault seals secrets on their way in."""

    def __init__(self, pools: Pools, vault: Vault) -> None:
        self._pools = pools
        self._vault = vault
        self._sql = load_queries("tenants")

    async def create(self, seed: TenantSeed) -> bool:
        """Write a new tenant in one transaction; see `TenantStore.create`."""
        tenant = seed.tenant
        async with self._pools.pipeline() as connection, connection.transaction():
            created = await connection.fetchval(
                self._sql["insert_tenant"],
                tenant.tenant_id,
                tenant.name,
                tenant.timezone,
                tenant.country,
                None if tenant.quiet_hours is None else _json.encode(tenant.quiet_hours),
                tenant.rate_per_s,
                tenant.rate_burst,
            )
            if not created:
                return False
            rows = [_category_columns(category) for category in seed.categories]
            columns = [list(column) for column in zip(*rows, strict=True)]
            await connection.execute(self._sql["insert_categories"], tenant.tenant_id, *columns)
            await connection.execute(
                self._sql["insert_providers"],
                tenant.tenant_id,
                [provider.name for provider in seed.providers],
                [provider.kind for provider in seed.providers],
                [provider.channel for provider in seed.providers],
            )
        return True

    async def put_category(self, tenant_id: bytes, category: Category) -> None:
        """Make or replace a category. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            _require(
                await connection.fetchval(self._sql["put_category"], tenant_id, *_category_columns(category))
            )

    async def put_links(self, tenant_id: bytes, *, tracking: bool, public_url: str) -> None:
        """Say how a tenant's links behave. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            _require(await connection.fetchval(self._sql["put_links"], tenant_id, tracking, public_url))

    async def put_language(self, tenant_id: bytes, language: str) -> None:
        """Say in which language a tenant speaks by default. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            _require(await connection.fetchval(self._sql["put_language"], tenant_id, language))

    async def put_compliance(self, tenant_id: bytes, compliance: ComplianceSettings) -> None:
        """Say how a tenant complies where it may choose. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            _require(
                await connection.fetchval(self._sql["put_compliance"], tenant_id, _json.encode(compliance))
            )

    async def put_provider(self, config: ProviderConfig) -> None:
        """Make or replace a provider's account; its `version` is counted here. Raises NotFound on an unknown tenant."""
        sealed = b""
        if config.credentials:
            place = place_of("providers", config.tenant_id, config.name)
            sealed = await self._vault.seal(place, _json.encode(config.credentials))
        async with self._pools.pipeline() as connection:
            _require(
                await connection.fetchval(
                    self._sql["put_provider"],
                    config.tenant_id,
                    config.name,
                    config.kind,
                    config.channel,
                    _json.encode(config.settings),
                    sealed,
                    _json.encode(_Cost(config.cost_micros, config.prices)),
                    config.weight,
                    config.enabled,
                    _json.encode(config.quota),
                    _json.encode(config.regions),
                )
            )

    async def put_quota(self, tenant_id: bytes, per_day: int | None) -> None:
        """Let a tenant have so many notifications accepted a day; None: any number. Raises NotFound."""
        async with self._pools.pipeline() as connection:
            _require(await connection.fetchval(self._sql["put_quota"], tenant_id, per_day))

    async def put_spending(self, tenant_id: bytes, spending: Spending) -> None:
        """Say what a tenant may spend. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            _require(await connection.fetchval(self._sql["put_spending"], tenant_id, _json.encode(spending)))

    async def delete_provider(self, tenant_id: bytes, name: str) -> bool:
        """Remove a provider's account. False where there was none."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["delete_provider"], tenant_id, name))

    async def load_config(self, tenant_id: bytes) -> TenantConfig:
        """All that a tenant set, as of one instant, with one query. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["load_config"], tenant_id)
        if record is None:
            raise _no_tenant()
        return TenantConfig(
            tenant=_tenant(tenant_id, record),
            version=record["config_version"],
            categories={
                row.name: Category(*msgspec.structs.astuple(row))
                for row in _categories.decode(record["categories"])
            },
            templates={
                row.name: TemplateInfo(*msgspec.structs.astuple(row))
                for row in _templates.decode(record["templates"])
            },
            providers=[
                await self._provider(tenant_id, row) for row in _providers.decode(record["providers"])
            ],
            spending=_spending.decode(record["spending"]),
            routing=_routing.decode(record["routing"]),
        )

    async def config_version(self, tenant_id: bytes) -> int:
        """The version that `load_config` would have. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            version = await connection.fetchval(self._sql["config_version"], tenant_id)
        if version is None:
            raise _no_tenant()
        return version

    async def list_tenants(self, home_region: str) -> list[TenantEntry]:
        """The tenants of this region (`home_region`), by name."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["list_tenants"])
        return [TenantEntry(record["tenant_id"], record["name"], home_region) for record in records]

    async def _provider(self, tenant_id: bytes, row: _ProviderRow) -> ProviderConfig:
        credentials = await self._unseal(tenant_id, row.name, base64.b64decode(row.credentials))
        return ProviderConfig(
            name=row.name,
            tenant_id=tenant_id,
            kind=row.kind,
            channel=row.channel,
            settings=row.settings,
            credentials=credentials or {},
            cost_micros=row.cost.default_micros,
            weight=row.weight,
            # Damaged secrets silence one account, not the tenant whose configuration this is.
            enabled=row.enabled and credentials is not None,
            version=row.version,
            prices=row.cost.prices,
            quota=row.quota,
            regions=row.regions,
        )

    async def _unseal(self, tenant_id: bytes, name: str, sealed: bytes) -> dict[str, str] | None:
        """A provider's credentials; None where they do not open."""
        if not sealed:
            return {}
        try:
            return _secrets.decode(await self._vault.unseal(place_of("providers", tenant_id, name), sealed))
        except Permanent:
            return None


def _category_columns(category: Category) -> tuple[Any, ...]:
    return (
        category.name,
        category.class_,
        category.ttl_s,
        category.on_ambiguity,
        _json.encode(category.caps),
        category.channels,
        category.max_channels,
        category.tracking,
        _json.encode(category.fallback),
        _json.encode(category.words),
    )


def _tenant(tenant_id: bytes, record: asyncpg.Record) -> Tenant:
    return Tenant(
        tenant_id,
        record["name"],
        timezone=record["timezone"],
        country=record["country"],
        quiet_hours=None if record["quiet_hours"] is None else _window.decode(record["quiet_hours"]),
        rate_per_s=record["rate_per_s"],
        rate_burst=record["rate_burst"],
        daily_quota=record["daily_quota"],
        tracking=record["tracking"],
        public_url=record["public_url"],
        language=record["language"],
        compliance=_compliance.decode(record["compliance"]),
        ml=_ml.decode(record["ml"]),
        experiment=None
        if record["arms"] is None
        else Experiment(record["experiment_id"], _arms.decode(record["arms"])),
    )


def _require(version: int | None) -> None:
    if version is None:
        raise _no_tenant()


def _no_tenant() -> NotFound:
    return NotFound("there is no such tenant")
