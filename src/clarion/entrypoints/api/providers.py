"""A tenant's accounts with vendors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.http.unconnected import Unconnected, resolve_nothing
from clarion.adapters.providers.registry import build_provider
from clarion.contracts.channels import Channel
from clarion.contracts.commands import Name
from clarion.delivery.model import Receipt
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.provider_money import (
    CostView,
    ProviderCost,
    ProviderQuota,
    cost_view,
    micros_of,
    prices_of,
    quota_of,
    quota_view,
)
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.hooks.receipts import ReceiptAddress, receipt_address
from clarion.kernel.errors import Invalid, NotFound
from clarion.tenancy.api_keys import EVERYTHING
from clarion.tenancy.config import ProviderConfig

Secret = Annotated[str, Meta(max_length=16_384)]


class ProviderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/providers/{name}`.

    `settings` and `credentials` are those of the kind. Credentials can be written, never read: those that are kept
    stay where `credentials` is left out. `weight`: this account's share among those of its channel. `regions`: from
    which it may be used; none: from all.
    """

    kind: Name
    channel: Channel
    credentials: dict[Name, Secret] | UnsetType = UNSET
    settings: dict[str, Any] = {}
    cost: ProviderCost = ProviderCost()
    quota: ProviderQuota = ProviderQuota()
    regions: list[Name] = []
    weight: Annotated[int, Meta(ge=0, le=10_000)] = 1
    enabled: bool = True


class ProviderView(msgspec.Struct, frozen=True):
    """An account. `credentials_set` names the credentials that are kept. `receipts`: where its receipts are sent to."""

    name: str
    kind: str
    channel: str
    settings: dict[str, Any]
    credentials_set: list[str]
    cost: CostView
    quota: ProviderQuota
    regions: list[str]
    weight: int
    enabled: bool
    receipts: ReceiptAddress | None


class ProviderList(msgspec.Struct, frozen=True):
    """All accounts of the tenant, by name."""

    providers: list[ProviderView]


class _NoReceipts:
    """`ReceiptSink` of a provider that is only built to be checked."""

    async def put(self, receipts: Sequence[Receipt]) -> None:
        """Nothing comes here: it never sends."""


_BODY: Final = JsonBody(ProviderBody)


@route(
    "PUT /api/v1/providers/{name}",
    Spec(
        tag="providers",
        scope="providers:write",
        body=_BODY,
        answers={200: ProviderView},
        examples={"body": examples.PROVIDER},
    ),
)
async def put_provider(call: Call) -> Reply:
    """Create or replace a provider's account.

    What is wrong with its settings or credentials is told here, not at the first message.
    """
    name = call.param("name")
    body = await call.read(_BODY)
    region = call.services.gateway.region
    config = ProviderConfig(
        name=name,
        tenant_id=call.tenant_id,
        kind=body.kind,
        channel=body.channel,
        settings=body.settings,
        credentials=await _credentials(call, name, body),
        cost_micros=None if body.cost.default is None else micros_of(body.cost.default),
        prices=prices_of(body.cost),
        quota=quota_of(body.quota),
        regions=tuple(body.regions),
        weight=body.weight,
        enabled=body.enabled,
    )
    provider = build_provider(config, Outside(region.clock, _NoReceipts(), Unconnected(), resolve_nothing))
    await provider.close()
    await region.tenants.put_provider(config)
    region.configs.forget(call.tenant_id)
    return json_reply(_view(call, config))


async def _credentials(call: Call, name: str, body: ProviderBody) -> dict[str, str]:
    """Those of the body, or else those that are kept. Raises Invalid where these belong to another kind."""
    if body.credentials is not UNSET:
        return body.credentials
    kept = await _find(call, name)
    if kept is None or not kept.credentials:
        return {}
    if kept.kind != body.kind:
        raise Invalid("those that are kept belong to another kind: give new ones, or {}", "credentials")
    return kept.credentials


async def _find(call: Call, name: str) -> ProviderConfig | None:
    region = call.services.gateway.region
    # Another process may have written it a moment ago: this one must not put old credentials back.
    region.configs.forget(call.tenant_id)
    config = await region.configs.get(call.tenant_id)
    return next((provider for provider in config.providers if provider.name == name), None)


@route(
    "GET /api/v1/providers/{name}",
    Spec(tag="providers", scope="providers:read", rate="read", answers={200: ProviderView}),
)
async def get_provider(call: Call) -> Reply:
    """One account, without its credentials."""
    config = await _find(call, call.param("name"))
    if config is None:
        raise _not_found()
    return json_reply(_view(call, config))


@route(
    "GET /api/v1/providers",
    Spec(tag="providers", scope="providers:read", rate="read", answers={200: ProviderList}),
)
async def list_providers(call: Call) -> Reply:
    """All accounts: the sandboxes that every tenant starts with, and your own."""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    return json_reply(ProviderList([_view(call, provider) for provider in config.providers]))


@route("DELETE /api/v1/providers/{name}", Spec(tag="providers", scope="providers:write", answers={204: None}))
async def delete_provider(call: Call) -> Reply:
    """Remove an account. What waits goes through the others of its channel."""
    region = call.services.gateway.region
    if not await region.tenants.delete_provider(call.tenant_id, call.param("name")):
        raise _not_found()
    region.configs.forget(call.tenant_id)
    return Reply(204)


def _not_found() -> NotFound:
    return NotFound("there is no such provider")


def _view(call: Call, config: ProviderConfig) -> ProviderView:
    may_write = not call.principal.scopes.isdisjoint({EVERYTHING, "providers:write"})
    sealer = call.services.gateway.region.sealer
    return ProviderView(
        config.name,
        config.kind,
        config.channel,
        config.settings,
        sorted(config.credentials),
        cost_view(config, call.services.gateway.region.clock.now_ms()),
        quota_view(config.quota),
        list(config.regions),
        config.weight,
        config.enabled,
        receipt_address(config, sealer, with_secret=may_write),
    )


ROUTES: Final[tuple[Route, ...]] = (put_provider, get_provider, list_providers, delete_provider)
